import { spawnSync } from 'node:child_process';
import { type Dirent, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { constants, gunzipSync } from 'node:zlib';

const maxDepth = 3;
const gzipMagic = Buffer.from([0x1f, 0x8b, 0x08]);
const zstdMagic = /^(\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18)/;

/** The forms in which a secret travels: as it is, in base64 by itself and behind its user, encoded for a URL, a form, JSON. */
export function secretForms(secret: string, user?: string): readonly string[] {
  const encoded = [secret, ...(user === undefined ? [] : [`${user}:${secret}`])].flatMap((text) => {
    const bytes = Buffer.from(text);
    return [bytes.toString('base64').replace(/=+$/, ''), bytes.toString('base64url')];
  });
  const form = new URLSearchParams({ s: secret }).toString().slice('s='.length);
  const json = JSON.stringify(secret).slice(1, -1);
  return [...new Set([secret, encodeURIComponent(secret), form, json, ...encoded])];
}

/** Which of `forms` are in `content`, also where that is compressed, or holds something that is. */
export function formsIn(content: Uint8Array | string, forms: readonly string[]): string[] {
  const texts = expand(Buffer.from(content), 0);
  return forms.filter((form) => texts.some((text) => text.includes(form)));
}

/** `path: form` for each of `forms` that is in a file, or in a file's name, below `folder`. */
export function searchFolder(folder: string, forms: readonly string[]): string[] {
  const entries: readonly Dirent[] = readdirSync(folder, { withFileTypes: true, recursive: true });
  return entries.flatMap((entry) => {
    const path = join(entry.parentPath, entry.name);
    const content = entry.isFile() ? readFileSync(path) : Buffer.alloc(0);
    return [...formsIn(content, forms), ...formsIn(path, forms)].map((form) => `${path}: ${form}`);
  });
}

function expand(content: Buffer, depth: number): Buffer[] {
  if (depth === maxDepth) return [content];
  const inside: Buffer[] = [];
  // What it gives before the end of a file that is cut off counts too.
  if (zstdMagic.test(content.subarray(0, 4).toString('latin1'))) {
    inside.push(spawnSync('zstd', ['--decompress', '--stdout'], { input: content, maxBuffer: 1024 ** 3 }).stdout);
  }
  for (let at = content.indexOf(gzipMagic); at >= 0; at = content.indexOf(gzipMagic, at + 1)) {
    const unzipped = gunzip(content.subarray(at));
    if (unzipped !== undefined) inside.push(unzipped);
  }
  return [content, ...inside.flatMap((each) => expand(each, depth + 1))];
}

function gunzip(bytes: Buffer): Buffer | undefined {
  try {
    return gunzipSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH });
  } catch {
    return undefined;
  }
}
