import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { beforeEach, describe, expect, it } from 'vitest';

import type { RegistryClient } from '../../src/oci-client/registry-client.ts';
import { CertificateAuthority } from '../support/certificates.ts';
import { expectError } from '../support/expect-error.ts';
import { reply, startScriptedServer } from '../support/scripted-server.ts';
import { content, fetched, has, opener, useMirrors } from './mirror-setup.ts';

const { digest } = content.descriptor;
const { folder, later, start, hostsToml } = useMirrors();

describe('the TLS settings of a hosts.toml', () => {
  let authority: CertificateAuthority;

  beforeEach(async () => {
    authority = await CertificateAuthority.create();
    later(() => authority.remove());
  });

  async function serve(clientAuthority?: string) {
    const tls = await authority.issue(['127.0.0.1']);
    const server = await startScriptedServer(has('team/app'), { tls, clientAuthority });
    later(() => server.stop());
    return server;
  }

  async function open(text: string): Promise<RegistryClient> {
    return opener(await start({ 'origin.example': {} }), await hostsToml('origin.example', text))();
  }

  it.each(['"ca.crt"', '["other.crt", "ca.crt"]'])('may name CAs, by paths from its folder: %s', async (ca) => {
    const server = await serve();
    const client = await open(`[host."https://${server.host}"]\nca = ${ca}\n`).catch(() => undefined);
    expect(client).toBeDefined();
    const other = await CertificateAuthority.create();
    later(() => other.remove());
    await writeFile(join(folder(), 'hosts', 'origin.example', 'ca.crt'), authority.certificate);
    await writeFile(join(folder(), 'hosts', 'origin.example', 'other.crt'), other.certificate);
    expect(client !== undefined && (await fetched(client))).toBe(true);
  });

  it.each(['a pair of files', 'one file'])('may name a client certificate, as %s', async (form) => {
    const server = await serve(authority.certificate);
    const client = await authority.issue(['client.example']);
    const both = join(folder(), 'client.pem');
    await writeFile(both, `${client.certificate}\n${client.key}`);
    const named = form === 'one file' ? `"${both}"` : `[["${client.certificatePath}", "${client.keyPath}"]]`;
    const tls = `ca = "${authority.certificatePath}"`;
    expect(await fetched(await open(`[host."https://${server.host}"]\n${tls}\nclient = ${named}\n`))).toBe(true);
    await expectError('NOT_FOUND', server.host, async () =>
      fetched(await open(`[host."https://${server.host}"]\n${tls}\n`)),
    );
  });

  it('may switch the check off for one host, and for no other', async () => {
    const server = await serve();
    expect(await fetched(await open(`[host."https://${server.host}"]\nskip_verify = true\n`))).toBe(true);
    const other = await serve();
    const elsewhere = await startScriptedServer(
      {
        [`GET /v2/team/app/blobs/${digest}`]: reply(307, {
          Location: `https://localhost:${other.host.split(':')[1] ?? ''}/x`,
        }),
      },
      { tls: await authority.issue(['127.0.0.1']) },
    );
    later(() => elsewhere.stop());
    await expectError('NOT_FOUND', 'is not trusted', async () =>
      fetched(await open(`[host."https://${elsewhere.host}"]\nskip_verify = true\n`)),
    );
    expect(other.requests).toEqual([]);
  });

  it('may be those of the registry itself', async () => {
    const server = await serve();
    const text = `server = "https://${server.host}"\nca = "${authority.certificatePath}"\n`;
    expect(await fetched(await open(text))).toBe(true);
  });

  it.each([
    ['a file that is not there', 'ca = "absent.crt"', 'FILE_FAILED', 'absent.crt'],
    ['a key of another certificate', 'client = [["client.crt", "other.key"]]', 'CONFIG_INVALID', 'hosts.toml'],
    ['no certificate', 'ca = "hosts.toml"', 'CONFIG_INVALID', 'no certificate in PEM'],
  ] as const)('must work: %s is an error', async (_what, line, code, part) => {
    const [one, other] = [await authority.issue(['a.example']), await authority.issue(['b.example'])];
    const client = await open(`[host."https://mirror.example"]\n${line}\n`);
    await writeFile(join(folder(), 'hosts', 'origin.example', 'client.crt'), one.certificate);
    await writeFile(join(folder(), 'hosts', 'origin.example', 'other.key'), other.key);
    await expectError(code, part, () => fetched(client));
  });
});
