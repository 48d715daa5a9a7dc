import { Readable } from 'node:stream';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { mediaTypes } from '../../src/content/media-types.ts';
import { RegistryClient } from '../../src/oci-client/registry-client.ts';
import { type DockerRegistry, startDockerRegistry } from '../support/docker-registry.ts';
import { blob, type Content, image, pushAll } from '../support/graphs.ts';
import { type Answer, reply } from '../support/scripted-server.ts';
import { useServedRepository } from './served-repository.ts';

const serve = useServedRepository();
const tagsPath = '/v2/team/app/tags/list';

/** Pages of a list, each linked by what `link` makes of the next one's number. */
function pages(bodies: readonly unknown[], link: (next: number, host: string) => string): Answer {
  return (request, response) => {
    const page = Number(new URL(request.url ?? '', 'http://x').searchParams.get('page') ?? 0);
    const next = page + 1;
    const headers = next < bodies.length ? { Link: link(next, request.headers.host ?? '') } : {};
    response.writeHead(200, { 'Content-Type': mediaTypes.ociIndex, ...headers }).end(JSON.stringify(bodies[page]));
  };
}

describe('tags', () => {
  const bodies = [{ name: 'team/app', tags: ['1', '2'] }, { tags: null }, { tags: ['3'] }];

  it.each<[string, (next: number, host: string) => string]>([
    ['relative', (next) => `<${tagsPath}?page=${next}&n=2>; rel="next"`],
    ['relative to the page', (next) => `<?page=${next}>; rel=next`],
    ['absolute', (next, host) => `<http://${host}${tagsPath}?page=${next}>; title="x"; rel="next"`],
    ['one of several', (next) => `<${tagsPath}>; rel="first", <${tagsPath}?page=${next}>; rel="next"`],
  ])('are read from all pages, where links are %s', async (_kind, link) => {
    const { repository } = await serve({ [`GET ${tagsPath}`]: pages(bodies, link) });
    expect(await repository.tags()).toEqual(['1', '2', '3']);
  });

  it.each<[string, (next: number, host: string) => string]>([
    ['lead to another host', () => '<https://elsewhere.example/v2/team/app/tags/list>; rel="next"'],
    ['lead to another scheme', (_next, host) => `<https://${host}${tagsPath}>; rel="next"`],
    ['are no address', () => '<http://>; rel="next"'],
    ['lead in a circle', () => `<${tagsPath}?page=0>; rel="next"`],
  ])('are an error where links %s', async (_kind, link) => {
    const { repository } = await serve({ [`GET ${tagsPath}`]: pages(bodies, link) });
    await expect(repository.tags()).rejects.toMatchObject({ code: 'REGISTRY_ERROR' });
  });

  it.each(['no JSON', '{"tags":"1"}', '[]'])('are an error where the answer is not a list: %s', async (body) => {
    const { repository } = await serve({ [`GET ${tagsPath}`]: reply(200, {}, body) });
    await expect(repository.tags()).rejects.toMatchObject({ code: 'REGISTRY_ERROR' });
  });

  it('are NOT_FOUND where the repository is not there', async () => {
    const { repository } = await serve({});
    await expect(repository.tags()).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('referrers, of a registry that lists them', () => {
  const subject = image([blob('image')]);
  const path = `/v2/team/app/referrers/${subject.descriptor.digest}`;
  const [first, second] = [blob('1', mediaTypes.ociManifest), blob('2', mediaTypes.ociManifest)].map(
    ({ descriptor }) => ({ ...descriptor, artifactType: 'application/vnd.example', annotations: { a: 'b' } }),
  );

  it('are read from all pages', async () => {
    const index = (manifests: unknown[]) => ({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests });
    const { repository } = await serve({
      [`GET ${path}`]: pages([index([first]), index([second])], (next) => `<${path}?page=${next}>; rel="next"`),
    });
    expect(await repository.referrers(subject.descriptor)).toEqual([first, second]);
  });

  it('are not kept by the client: the registry says OCI-Subject', async () => {
    const signature = image([], { artifactType: 'application/vnd.example.sig', subject });
    const { repository, server } = await serve({
      [`PUT /v2/team/app/manifests/${signature.descriptor.digest}`]: reply(201, {
        'OCI-Subject': subject.descriptor.digest,
      }),
    });
    await repository.push(signature.descriptor, Readable.from([signature.bytes]));
    expect(server.requests.filter(({ method }) => method === 'PUT')).toHaveLength(1);
  });
});

describe('referrers, of a registry that does not know them', () => {
  let registry: DockerRegistry;
  let client: RegistryClient;
  const subject = image([blob('image')]);
  const tag = subject.descriptor.digest.replace(':', '-');

  beforeAll(async () => {
    registry = await startDockerRegistry();
    client = new RegistryClient({ plainHttp: 'all' });
  });
  afterAll(async () => {
    await client.close();
    await registry.stop();
  });

  async function rawIndex(
    repository: string,
  ): Promise<{ manifests: Record<string, unknown>[]; [key: string]: unknown }> {
    const response = await fetch(`${registry.url}/v2/${repository}/manifests/${tag}`, {
      headers: { Accept: mediaTypes.ociIndex },
    });
    return (await response.json()) as { manifests: Record<string, unknown>[] };
  }

  function signature(number: number): Content {
    return image([blob(`signature ${number}`)], {
      artifactType: 'application/vnd.example.sig',
      subject,
      annotations: { number: `${number}` },
    });
  }

  it('are none where nothing refers to the content', async () => {
    const repository = client.repository(registry.host, 'ref/none');
    await pushAll(repository, subject);
    expect(await repository.referrers(subject.descriptor)).toEqual([]);
  });

  it('are kept under the fallback tag, as the specification writes them', async () => {
    const repository = client.repository(registry.host, 'ref/kept');
    const image2 = image([blob('an image about an image')], { subject, annotations: { x: 'y' } });
    await pushAll(repository, signature(1), image2);
    const index = await rawIndex('ref/kept');
    expect(index).toEqual({
      schemaVersion: 2,
      mediaType: mediaTypes.ociIndex,
      manifests: [
        { ...signature(1).descriptor, artifactType: 'application/vnd.example.sig', annotations: { number: '1' } },
        { ...image2.descriptor, artifactType: mediaTypes.ociConfig, annotations: { x: 'y' } },
      ],
    });
    expect(await repository.referrers(subject.descriptor)).toEqual(index.manifests);
    expect(await repository.tags()).toEqual([tag]);
  });

  it('all arrive when many are pushed at once, and each once', async () => {
    const repository = client.repository(registry.host, 'ref/many');
    // Beforehand what they share: the registry rewrites the file of a link in place, and who reads it meanwhile finds it empty.
    await pushAll(repository, subject, blob('{}', mediaTypes.ociEmpty));
    await Promise.all(Array.from({ length: 8 }, (_, number) => pushAll(repository, signature(number))));
    await pushAll(repository, signature(3));
    const digests = (await repository.referrers(subject.descriptor)).map(({ digest }) => digest);
    const expected = Array.from({ length: 8 }, (_, number) => signature(number).descriptor.digest);
    expect([...digests].sort()).toEqual([...expected].sort());
  });

  it('keep what other clients wrote there', async () => {
    const repository = client.repository(registry.host, 'ref/others');
    await pushAll(repository, signature(1));
    const written = await rawIndex('ref/others');
    const changed = {
      ...written,
      annotations: { by: 'another client' },
      manifests: written.manifests.map((entry) => ({ ...entry, 'org.example.more': [1] })),
    };
    await fetch(`${registry.url}/v2/ref/others/manifests/${tag}`, {
      method: 'PUT',
      headers: { 'Content-Type': mediaTypes.ociIndex },
      body: JSON.stringify(changed),
    });
    await pushAll(repository, signature(2));
    const index = await rawIndex('ref/others');
    expect(index).toMatchObject({ annotations: { by: 'another client' } });
    expect(index.manifests).toHaveLength(2);
    expect(index.manifests[0]).toEqual(changed.manifests[0]);
  });

  it('are an error where the fallback tag names something else', async () => {
    const repository = client.repository(registry.host, 'ref/strange');
    await pushAll(repository, subject);
    await repository.tag(subject.descriptor, tag);
    await expect(repository.referrers(subject.descriptor)).rejects.toMatchObject({ code: 'CONTENT_INVALID' });
    await expect(pushAll(repository, signature(1))).rejects.toMatchObject({ code: 'CONTENT_INVALID' });
  });
});
