import pLimit from 'p-limit';
import * as z from 'zod';

import { listOf } from '../content/list-schema.ts';
import type { OperationOptions } from '../content/store.ts';
import { EdgeBundleError } from '../errors.ts';
import { parseProfileDocument, type ProfileDocument } from '../profile/profile-document.ts';
import { answerError, readAnswer } from './palette-answer.ts';
import type { PaletteClient } from './palette-client.ts';

const concurrency = 4;

const completeSchema = z.looseObject({
  spec: z.looseObject({
    template: z.looseObject({
      packs: listOf(z.looseObject({ manifests: listOf(z.looseObject({ content: z.string().regex(/\S/) })).nullish() })),
    }),
  }),
});

const manifestSchema = z.looseObject({ name: z.string(), uid: z.string() });
const packSchema = z.looseObject({ name: z.string(), manifests: listOf(manifestSchema).nullish() });
const profileSchema = z.looseObject({
  spec: z.looseObject({ published: z.looseObject({ packs: listOf(packSchema).nullish() }).nullish() }),
});

const bodySchema = z.looseObject({
  spec: z.looseObject({ published: z.looseObject({ content: z.string().nullish() }).nullish() }),
});
const variablesSchema = z.looseObject({ variables: listOf(z.unknown()).nullish() });

type Pack = z.infer<typeof packSchema>;

interface ProfilePlace extends OperationOptions {
  readonly uid: string;
  readonly projectUid?: string | undefined;
}

/**
 * Reads one profile: Palette's export. Where that is refused, or lacks bodies of manifests, the profile itself, and each
 * body.
 *
 * @throws EdgeBundleError PALETTE_ERROR, PROFILE_INVALID, and as `PaletteClient.ask` does
 */
export async function fetchDocument(client: PaletteClient, place: ProfilePlace): Promise<ProfileDocument> {
  const where = `cluster profile ${place.uid} of ${client.endpoint.host}`;
  const exported = await readExport(client, place);
  if (completeSchema.safeParse(exported).success) return parseProfileDocument(exported, where);
  return parseProfileDocument(await readParts(client, place), where);
}

/** Undefined where Palette does not give it to this key, or has no export. */
async function readExport(client: PaletteClient, { uid, ...options }: ProfilePlace): Promise<unknown> {
  const what = `cannot export the cluster profile ${uid}`;
  const path = ['clusterprofiles', uid, 'export'];
  const answer = await client.ask({ ...options, what, path, query: { format: 'json' } });
  const { status } = answer;
  if (status >= 400 && status < 500 && status !== 401 && status !== 429) return undefined;
  return readAnswer(answer, z.unknown());
}

async function readParts(client: PaletteClient, place: ProfilePlace): Promise<unknown> {
  const { uid, ...options } = place;
  const what = `cannot read the cluster profile ${uid}`;
  const profile = await client.read({ ...options, what, path: ['clusterprofiles', uid] }, profileSchema);
  const { published } = profile.spec;
  if (published === undefined || published === null) {
    throw new EdgeBundleError('PALETTE_ERROR', `${what}: it is a draft`, { hint: 'Publish it in Palette first.' });
  }
  const limit = pLimit(concurrency);
  const packs = await Promise.all(
    (published.packs ?? []).map(async (pack) => ({
      ...pack,
      manifests: await Promise.all(
        (pack.manifests ?? []).map(async (manifest) => ({
          ...manifest,
          content: await limit(() => readBody(client, place, pack, manifest)),
        })),
      ),
    })),
  );
  const variables = await readVariables(client, place);
  return { ...profile, spec: { ...profile.spec, published: { ...published, packs }, variables } };
}

async function readBody(
  client: PaletteClient,
  { uid, ...options }: ProfilePlace,
  pack: Pack,
  manifest: z.infer<typeof manifestSchema>,
): Promise<string> {
  const what = `cannot read manifest '${manifest.name}' of pack '${pack.name}' of the cluster profile ${uid}`;
  const path = ['clusterprofiles', uid, 'packs', pack.name, 'manifests', manifest.uid];
  const { spec } = await client.read({ ...options, what, path }, bodySchema);
  const content = spec.published?.content ?? '';
  if (content.trim() === '') throw new EdgeBundleError('PALETTE_ERROR', `${what}: it has no published content`);
  return content;
}

/** Older versions of Palette have none. */
async function readVariables(client: PaletteClient, { uid, ...options }: ProfilePlace): Promise<unknown> {
  const what = `cannot read the variables of the cluster profile ${uid}`;
  const answer = await client.ask({ ...options, what, path: ['clusterprofiles', uid, 'variables'] });
  if (answer.status === 404) return undefined;
  if (answer.status !== 200) throw answerError(answer);
  return readAnswer(answer, variablesSchema).variables;
}
