/** Parsers of keys. The private ones are made here: in a file, each would look like one that somebody lost. */
import { createHash, createPrivateKey, type KeyObject } from 'node:crypto';

import { readPublicKeys } from '../../src/trust/read-public-keys.ts';
import { parsePrivateKey } from '../../src/trust/signer.ts';
import type { FuzzTarget } from './run-target.ts';

const passphrase = 'correct horse';

/** An Ed25519 key in PKCS #8, encrypted (PBES2, AES-256-CBC) with that passphrase. */
const encrypted =
  'MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAh/nk1KvTD+KQICCAAwDAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEJwgpeNMB6x+SBJ4GhJYNowEQEvJ3PhhMpH+9awLi3R/zFOrZY4kFAMbqQ6nQfWUiFgrP7p8djektp1oqbkkN9Jm4VOWN7qHATncDoicTfJIg68=';

const scalar = createHash('sha256').update('fuzz').digest();
const ed25519 = keyOf(Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), scalar]), 'pkcs8');
const ecdsa = keyOf(
  Buffer.concat([Buffer.from('30310201010420', 'hex'), scalar, Buffer.from('a00a06082a8648ce3d030107', 'hex')]),
  'sec1',
);

const ed25519Public = `-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
`;

export const keyTargets: readonly FuzzTarget[] = [
  {
    name: 'private keys',
    seeds: [
      ed25519.export({ type: 'pkcs8', format: 'pem' }),
      ecdsa.export({ type: 'pkcs8', format: 'pem' }),
      ecdsa.export({ type: 'sec1', format: 'pem' }),
      pem('ENCRYPTED PRIVATE KEY', encrypted),
    ].map((text) => Buffer.from(text)),
    parse: (input) => parsePrivateKey({ name: 'key', text: input.toString('utf8') }, passphrase),
  },
  {
    name: 'public keys',
    seeds: [
      ed25519Public,
      `content:\n  signing:\n    publicKey:\n      base64EncodedValue: ${Buffer.from(ed25519Public).toString('base64')}\n`,
    ].map((text) => Buffer.from(text)),
    parse: (input) => readPublicKeys([{ name: 'key', text: input.toString('utf8') }]),
  },
];

function keyOf(key: Buffer, type: 'pkcs8' | 'sec1'): KeyObject {
  return createPrivateKey({ key, format: 'der', type });
}

function pem(label: string, base64: string): string {
  return `-----BEGIN ${label}-----\n${base64.replace(/.{64}/g, '$&\n')}\n-----END ${label}-----\n`;
}
