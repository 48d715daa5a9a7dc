import { EdgeBundleError } from '../errors.ts';

/** Options of the command line that the configuration has as members, but for their spelling. */
const members: Readonly<Record<string, string>> = {
  'ca-cert': 'caCert',
  'cred-file': 'credFile',
  'data-path': 'dataPath',
  insecure: 'insecure',
  'password-file': 'passwordFile',
  project: 'project',
  registry: 'registry',
  resolve: 'resolve',
  username: 'username',
};

/** `text` with options of the command line as the members of the configuration that they are there: `--ca-cert FILE` as `'caCert'`. */
export function inConfigWords(text: string): string {
  return text.replace(/--([a-z]+(?:-[a-z]+)*)(?: FILE)?(?![\w=-])/g, (option, name: string) => {
    const member = Object.hasOwn(members, name) ? members[name] : undefined;
    return member === undefined ? option : `'${member}'`;
  });
}

/** The same error for whoever has a configuration and no command line. */
export function forConfig(error: EdgeBundleError): EdgeBundleError {
  const { code, message, hint, failures } = error;
  return new EdgeBundleError(code, message, {
    ...(hint === undefined ? {} : { hint: inConfigWords(hint) }),
    failures: failures.map((failure) => forConfig(failure)),
    cause: error,
  });
}
