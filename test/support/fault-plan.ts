import type { Fault, ProxiedRequest } from './registry-proxy.ts';

/** A way in which a registry fails, as often as it is asked to. */
export interface FaultPlan {
  readonly name: string;
  /** The fault of a request, by how many requests for blobs came before. */
  readonly fault: (request: ProxiedRequest, number: number, random: () => number) => Fault | undefined;
}

/** A fixed sequence of numbers from 0 to 1 (mulberry32), so that a failure can be repeated. */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Between 1 byte and the size, rather small than large. */
function somewhere(random: () => number, sizeBytes: number): number {
  return 1 + Math.floor(random() ** 2 * sizeBytes);
}

/** Faults of the answers to a GET of blobs of about `blobBytes`, about every second one. */
export function blobFaults(blobBytes: number, elsewhere: string): readonly FaultPlan[] {
  const each = (
    name: string,
    make: (random: () => number, request: ProxiedRequest) => Fault,
    share = 0.5,
  ): FaultPlan => ({
    name,
    fault: (request, _number, random) => (random() < share ? make(random, request) : undefined),
  });
  const done = new Set<string>();
  /** For what is forgiven once only, whichever of these it is. */
  const first = (name: string, fault: Fault): FaultPlan => ({
    name,
    fault: ({ path }) => {
      if (done.has(path)) return undefined;
      done.add(path);
      return fault;
    },
  });
  return [
    each('cut after some bytes', (random) => ({ kind: 'truncate', afterBytes: somewhere(random, blobBytes) })),
    each('reset', (random) => ({ kind: 'reset', afterBytes: somewhere(random, blobBytes) })),
    each('stall', (random) => ({ kind: 'hang', afterBytes: somewhere(random, blobBytes) }), 0.15),
    each('slow', (random) => ({ kind: 'slow', bytesPerSecond: blobBytes * (1 + random()) })),
    each('429 with Retry-After', () => answer(429, { 'Retry-After': '0' })),
    each('503', () => answer(503)),
    each('no answer', () => ({ kind: 'hang' }), 0.15),
    first('wrong length', { kind: 'length', extraBytes: 10 }),
    first('wrong digest once', { kind: 'corrupt', atByte: Math.floor(blobBytes / 3) }),
    // Broken off too, so that there is a range to ask for.
    {
      name: 'lost ranges',
      fault: ({ headers }, number, random) =>
        headers.range === undefined
          ? { kind: 'truncate', afterBytes: somewhere(random, blobBytes) }
          : number % 2 === 0
            ? { kind: 'whole' }
            : undefined,
    },
    expiringTokens(elsewhere, blobBytes),
    each('redirect to another host', (_random, { path }) => answer(307, { Location: `http://${elsewhere}${path}` })),
  ];
}

/**
 * Before there is a token, a login is wanted. Bodies break off, and a token that was good for a blob is often refused when
 * more of that blob is asked for; never sooner, for one that was given just now is not asked for anew.
 */
function expiringTokens(realmHost: string, blobBytes: number): FaultPlan {
  const used = new Set<string>();
  return {
    name: 'token that has expired',
    fault: ({ path, headers: { authorization = '' } }, _number, random) => {
      const use = `${String(authorization)} ${path}`;
      const isGood = authorization !== '' && (!used.has(use) || random() < 0.2);
      if (!isGood) return answer(401, { 'WWW-Authenticate': `Bearer realm="http://${realmHost}${tokenPath}"` });
      used.add(use);
      return random() < 0.5 ? { kind: 'truncate', afterBytes: somewhere(random, blobBytes) } : undefined;
    },
  };
}

const tokenPath = '/token';

/** What the host that `expiringTokens` names answers: a new token each time. */
export function giveTokens(): (request: ProxiedRequest) => Fault | undefined {
  let count = 0;
  return ({ path }) => {
    if (!path.startsWith(tokenPath)) return undefined;
    count += 1;
    return { ...answer(200), body: JSON.stringify({ token: `token-${count}`, expires_in: 300 }) };
  };
}

function answer(status: number, headers: Record<string, string> = {}): Extract<Fault, { kind: 'answer' }> {
  return { kind: 'answer', status, headers };
}
