import { secretForms } from '../support/secret-search.ts';

/** With what gets lost, or another form, where text is encoded or quoted. */
const secretOf = (name: string): string => `${name} "p@ss/w+rd" \\100% ü?`;

const keyLine = 'MIIEvgIBADANBgkqhkiG9w0BAQEFAASC';
export const manyLines = `-----BEGIN KEY-----\n${keyLine.repeat(3)}\n-----END KEY-----`;
export const googleKey = { type: 'service_account', private_key: manyLines };

/** The password of each user, and what else is secret. */
export const passwords = {
  'file-user': secretOf('file'),
  'env-user': secretOf('env'),
  'stdin-user': secretOf('stdin'),
  'cred-user': secretOf('cred'),
  'docker-user': secretOf('docker'),
  'helper-user': secretOf('helper'),
  _json_key: JSON.stringify(googleKey),
} as const;
export const wrongPassword = secretOf('wrong');
export const identityToken = 'identity-token-0123456789abcdef';
export const harborAdmin = { name: 'admin', password: secretOf('harbor'), admin: true };
export const proxyLogin = { user: 'proxy-user', password: secretOf('proxy') };
export const apiKey = 'PaletteKey0123456789abcdefghijkl';
export const variable = secretOf('variable');
export const variableDefault = secretOf('default');

/** All of them, in each form in which they travel. */
export const forms = [
  ...Object.entries(passwords).flatMap(([user, password]) => secretForms(password, user)),
  ...['file-user', 'admin'].flatMap((user) => secretForms(wrongPassword, user)),
  ...secretForms(harborAdmin.password, harborAdmin.name),
  ...secretForms(proxyLogin.password, proxyLogin.user),
  ...[identityToken, apiKey, variable, variableDefault, manyLines].flatMap((secret) => secretForms(secret)),
  // What would be left of one where text is cut off.
  ...['p@ss/w', apiKey.slice(0, 12), keyLine],
];
