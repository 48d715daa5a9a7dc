import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import * as z from 'zod';

import { profileJsonSchema } from '../../src/profile/profile-document.ts';
import { readProfile } from '../../src/profile/profile.ts';

const folder = fileURLToPath(new URL('../../manifests/', import.meta.url));

const examples = (await readdir(folder)).filter((name) => name.endsWith('.yaml'));

async function committedSchema(): Promise<z.ZodType> {
  const schema: unknown = JSON.parse(await readFile(`${folder}profile.schema.json`, 'utf8'));
  return z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0]);
}

describe('manifests/', () => {
  it('has the JSON Schema of what is read', async () => {
    const committed: unknown = JSON.parse(await readFile(`${folder}profile.schema.json`, 'utf8'));
    expect(committed).toEqual(profileJsonSchema());
  });

  it('has an infrastructure, an add-on and a full profile', async () => {
    const profiles = await Promise.all(examples.map((name) => readProfile(folder + name)));
    const types = profiles.map((profile) => profile.kind === 'profile' && profile.document.spec.template.type);
    expect(new Set(types)).toEqual(new Set(['infra', 'add-on', 'cluster']));
  });

  it.each(examples)('has an example that is valid by the schema: %s', async (name) => {
    const schema = await committedSchema();
    const document: unknown = parse(await readFile(folder + name, 'utf8'));
    expect(schema.safeParse(document)).toMatchObject({ success: true });
    expect(schema.safeParse({ ...(document as object), spec: { template: { type: 'infra' } } }).success).toBe(false);
  });

  it('has a list of images', async () => {
    await expect(readProfile(`${folder}images.txt`)).resolves.toMatchObject({ kind: 'list', name: 'images' });
  });
});
