import {
  type Answer,
  reply,
  type Script,
  type ScriptedServer,
  startScriptedServer,
} from '../support/scripted-server.ts';

export const apiKey = 'QMOI1ZVKVIoW6LM6uXqSWFPsjmt0juvl';
export const projectUid = '5f0000000000000000000001';
export const profileUid = '65000000000000000000000a';

/** What an export has of a profile with one pack and two manifests. */
export const exportedProfile = {
  metadata: { name: 'store', description: '', labels: {} },
  spec: {
    version: '1.0.0',
    template: {
      type: 'add-on',
      cloudType: 'all',
      packs: [
        {
          ...{ name: 'apps', type: 'manifest', layer: 'addon', version: '', tag: '', values: 'pack: {}\n' },
          manifests: [
            { name: 'web', content: 'apiVersion: v1\nkind: Pod\n' },
            { name: 'api', content: 'apiVersion: v1\nkind: Service\n' },
          ],
        },
      ],
    },
    variables: [
      { name: 'cidr', defaultValue: '10.0.0.0/8', required: true, isSensitive: false },
      { name: 'password', defaultValue: 'sensitive-default', required: true, isSensitive: true },
    ],
  },
};

/** `GET /v1/clusterprofiles/{uid}` of the same profile: manifests have a name and a uid, and no content. */
export const plainProfile = {
  metadata: { name: 'store', uid: profileUid, annotations: { scope: 'project', projectUid } },
  spec: {
    version: '1.0.0',
    published: {
      ...{ type: 'add-on', cloudType: 'all', uid: profileUid, name: 'store' },
      packs: [
        {
          ...{ name: 'apps', type: 'manifest', layer: 'addon', version: '', tag: '', values: 'pack: {}\n' },
          manifests: [
            { kind: 'Manifest', name: 'web', uid: 'manifest-1' },
            { kind: 'Manifest', name: 'api', uid: 'manifest-2' },
          ],
        },
      ],
    },
  },
  status: { isPublished: true },
};

export function json(value: unknown, status = 200): Answer {
  return reply(status, { 'content-type': 'application/json' }, JSON.stringify(value));
}

/** An error in Palette's form. */
export function refusal(status: number, code: string, message: string): Answer {
  return json({ code, message, ref: `ref-${status}`, details: null }, status);
}

export function manifestBody(content: string): Answer {
  return json({ metadata: { name: 'm', uid: 'm' }, spec: { published: { digest: 'x', content } } });
}

const servers: ScriptedServer[] = [];

/** A Palette that answers as `script` says, below `/v1`: `GET clusterprofiles/{uid}`. */
export async function startPalette(script: Script, options?: Parameters<typeof startScriptedServer>[1]) {
  const paths = Object.entries(script).map(([key, answer]) => [key.replace(' ', ' /v1/'), answer] as const);
  const server = await startScriptedServer(Object.fromEntries(paths), options);
  servers.push(server);
  return server;
}

export async function stopPalettes(): Promise<void> {
  for (const server of servers.splice(0)) await server.stop();
}
