import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';

import type { Argv, CommandModule, InferredOptionTypes, Options } from 'yargs';

import { errorMessage } from '../../errors.ts';
import type { Htpasswd } from '../../serve/htpasswd.ts';
import type { RegistryContent } from '../../serve/registry-content.ts';
import type { ServerTls } from '../../serve/registry-server.ts';
import { withBundle } from '../bundle-argument.ts';
import type { GlobalArguments } from '../global-options.ts';
import type { Progress } from '../progress/progress.ts';
import { withProgress } from '../progress/with-progress.ts';
import { type Terminal, writeText } from '../terminal.ts';
import { readTextFile } from '../text-file.ts';
import { readTrust, type TrustArguments, trustOptions } from '../trust-options.ts';
import { usageError } from '../usage.ts';

const options = {
  listen: {
    type: 'string',
    requiresArg: true,
    default: '127.0.0.1:5000',
    describe: 'Address and port; port 0 is any free one',
  },
  writable: { type: 'boolean', default: false, describe: 'Let clients push; only for a folder' },
  'tls-cert': { type: 'string', requiresArg: true, describe: 'Certificate chain, PEM' },
  'tls-key': { type: 'string', requiresArg: true, describe: "The certificate's key, PEM" },
  htpasswd: { type: 'string', requiresArg: true, describe: 'Ask for a login of this file, as htpasswd -B makes it' },
  'allow-anonymous': { type: 'boolean', default: false, describe: 'Let other machines in without a login' },
  'allow-plain-http': { type: 'boolean', default: false, describe: 'Let other machines in without TLS' },
} as const satisfies Readonly<Record<string, Options>>;

type ServeArguments = GlobalArguments &
  TrustArguments &
  InferredOptionTypes<typeof options> & { readonly source: string };

export function serveCommand(terminal: Terminal): CommandModule<GlobalArguments, ServeArguments> {
  return {
    command: 'serve <source>',
    describe: 'Be a registry over a bundle, read in place, or over an OCI layout folder',
    builder: (yargs: Argv<GlobalArguments>) =>
      yargs
        .positional('source', {
          type: 'string',
          demandOption: true,
          describe: 'A bundle, or the folder of an OCI image layout',
        })
        .options({ ...options, ...trustOptions })
        .example('$0 serve bundles/content-1f', 'Read-only, on 127.0.0.1:5000')
        .example(
          '$0 serve ./registry --writable --listen 0.0.0.0:5000 --tls-cert tls.crt --tls-key tls.key --htpasswd users',
          'For others',
        ),
    handler: (args) => withProgress(terminal, args, (progress) => serve(args, terminal, progress)),
  };
}

/** Serves until a signal comes, which is its normal end. */
async function serve(args: ServeArguments, terminal: Terminal, progress: Progress): Promise<void> {
  const { host, port } = parseListen(args.listen);
  const [tls, users] = [await readTls(args), await readUsers(args)];
  await withContent(args, async (content) => {
    const { startRegistryServer } = await import('../../serve/registry-server.ts');
    const server = await startRegistryServer({
      content,
      host,
      port,
      tls,
      users,
      allowAnonymous: args['allow-anonymous'],
      allowPlainHttp: args['allow-plain-http'],
      onRequest: ({ method, url, status, receivedBytes, sentBytes, durationMs }) => {
        const fields = { method, url, status, receivedBytes, sentBytes, durationMs: Math.round(durationMs) };
        progress.note('request', `${method} ${url} ${status}`, fields);
      },
      onError: (error) => progress.warn(errorMessage(error)),
    });
    try {
      await writeText(terminal.stdout, `${server.url}\n`);
      if (!terminal.signal.aborted) await once(terminal.signal, 'abort');
    } finally {
      await server.close();
    }
  });
}

async function withContent(args: ServeArguments, use: (content: RegistryContent) => Promise<void>): Promise<void> {
  const { source, writable } = args;
  const { LayoutContent } = await import('../../serve/layout-content.ts');
  if (writable && (await isFile(source))) throw usageError(`--writable: '${source}' is a file; a bundle never changes`);
  if (writable || (await isFile(join(source, 'oci-layout')))) {
    if ((await readTrust(args)) !== undefined) {
      throw usageError(
        `'${source}' is a folder, which has no signature`,
        '--public-key and --minimum-date are for bundles.',
      );
    }
    await use(await LayoutContent.open(source, { writable }));
    return;
  }
  const { BundleContent } = await import('../../serve/bundle-content.ts');
  await withBundle(source, args, (bundle) => use(new BundleContent(bundle)));
}

async function isFile(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() ?? false;
}

function parseListen(text: string): { host: string; port: number } {
  const { host, ipv6, port } =
    /^(?:\[(?<ipv6>[0-9a-f:.]+)\]|(?<host>[^:[\]]+)):(?<port>[0-9]{1,5})$/i.exec(text)?.groups ?? {};
  const address = ipv6 ?? host;
  if (address !== undefined && Number(port) <= 65_535) return { host: address, port: Number(port) };
  throw usageError(`--listen: expected ADDRESS:PORT, '${text}' came`);
}

async function readUsers({ htpasswd }: ServeArguments): Promise<Htpasswd | undefined> {
  if (htpasswd === undefined) return undefined;
  const { Htpasswd } = await import('../../serve/htpasswd.ts');
  return Htpasswd.parse(await readTextFile(htpasswd, 'the logins'));
}

async function readTls(args: ServeArguments): Promise<ServerTls | undefined> {
  const { 'tls-cert': cert, 'tls-key': key } = args;
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined || key === undefined) throw usageError('--tls-cert and --tls-key belong together');
  return { cert: await readTextFile(cert, 'the certificate'), key: await readTextFile(key, 'the key') };
}
