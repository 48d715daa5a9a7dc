import { spawnSync } from 'node:child_process';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

import { beforeAll, describe, expect, it } from 'vitest';

import { compressFrame } from '../../src/bundle/zstd-codec.ts';
import type { LoaderPackage } from '../../src/packaging/package-loader.ts';
import { everyKind, ofSize, text, writeBundle } from '../support/bundles.ts';
import { sha256 } from '../support/graphs.ts';
import { type LauncherRun, makeLoaderPackage } from '../support/loader-package.ts';
import { runProgram } from '../support/run-program.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

/** Root of nothing but its own namespaces, as any user may be; not every kernel lets them. */
const isolated = ['--user', '--map-root-user', '--mount', '--net', '--pid', '--fork', '--'];
const canIsolate = spawnSync('unshare', [...isolated, 'true']).status === 0;

let root: string;
let made: LoaderPackage;

describe.skipIf(!canIsolate)('on a host with a shell and glibc alone, without network, read-only', () => {
  beforeAll(async () => {
    root = await temporaryFolder();
    for (const program of ['sh', 'readlink']) await install(program);
    // What Node.js links to and every glibc has; no libstdc++, no libgcc.
    const needed = runProgram('ldd', [process.execPath]).toString();
    const glibc = needed.match(/\/\S*\/(?:lib(?:c|m|dl|pthread)\.so\.\d|ld-linux-\S+\.so\.\d)/g) ?? [];
    for (const library of glibc) await put(library);
    made = await makeLoaderPackage(join(root, 'media'));
  }, 300_000);

  async function install(program: string): Promise<void> {
    const path = runProgram('which', [program]).toString().trim();
    await put(path, `/bin/${program}`);
    for (const library of runProgram('ldd', [path])
      .toString()
      .match(/\/\S+\.so\S*/g) ?? [])
      await put(library);
  }

  async function put(path: string, target = path): Promise<void> {
    await mkdir(dirname(join(root, target)), { recursive: true });
    await copyFile(path, join(root, target));
  }

  function run(...args: readonly string[]): LauncherRun {
    const enter = 'mount --rbind "$0" "$0" && mount -o remount,bind,ro "$0" && exec chroot "$0" "$@"';
    const launcher = `/media/${basename(made.path)}/bin/edge-bundle`;
    const command = [...isolated, 'env', '-i', '/bin/sh', '-c', enter, root, launcher, ...args];
    const { status, stdout, stderr } = spawnSync('unshare', command, { encoding: 'utf8' });
    return { status, stdout, stderr };
  }

  it('has no libstdc++ that the package would not bring', () => {
    const listed = runProgram('find', [root, '-name', 'libstdc++*']).toString().trim().split('\n');
    expect(listed).toEqual([join(made.path, 'lib/shared/libstdc++.so.6')]);
  });

  it('the package inspects and verifies a bundle, and finds damage', async () => {
    const planned = await everyKind();
    const path = await writeBundle(join(root, 'content'), planned);
    const inside = path.slice(root.length);
    const inspected = run('inspect', inside, '--output', 'json');
    expect(inspected).toMatchObject({ status: 0, stderr: '' });
    const { images } = JSON.parse(inspected.stdout) as { images: readonly { digest: string }[] };
    expect(images.map(({ digest }) => digest)).toEqual(planned.document.images.map(({ digest }) => digest));
    const verified = run('verify', inside, '--output', 'json');
    expect(verified.status).toBe(0);
    expect(JSON.parse(verified.stdout)).toMatchObject({ images: planned.document.images.length, missing: [] });

    const bytes = await readFile(path);
    const { bytes: layer } = ofSize(planned, 3 * 128 * 1024 + 7);
    const place = bytes.indexOf(layer.subarray(100, 200));
    bytes.writeUInt8(bytes.readUInt8(place) ^ 1, place);
    await writeFile(path, bytes);
    const refused = run('verify', inside);
    expect(refused.status).toBe(4);
    expect(refused.stderr).toContain(sha256(layer));
  });

  it('its zstd is ours: the same frames, the same refusals', async () => {
    const codec = join(made.path, 'lib/app/dist/bundle/zstd-codec.js');
    const content = text(500_000);
    await writeFile(join(root, 'content.txt'), content);
    const script = `
      import { createHash } from 'node:crypto';
      import { readFileSync } from 'node:fs';
      import { addonCodec, compressFrame, decompressFrame } from ${JSON.stringify(codec)};
      const content = readFileSync(${JSON.stringify(join(root, 'content.txt'))});
      const frame = compressFrame(content);
      const flipped = Buffer.from(frame);
      flipped[100] ^= 1;
      const wrong = [[flipped, 500000], [frame.subarray(0, -1), 500000], [Buffer.concat([frame, Buffer.from('x')]), 500000],
        [frame, 499999], [frame, 500001], [Buffer.alloc(0), 1], [Buffer.from('no frame at all'), 1], [frame, 0]];
      const codes = wrong.map(([bytes, size]) => { try { decompressFrame(bytes, size); return 'taken'; } catch (error) { return error.code; } });
      console.log(JSON.stringify({
        addon: addonCodec() !== undefined, codes, same: decompressFrame(frame, 500000).equals(content),
        frame: createHash('sha256').update(frame).digest('hex'),
      }));`;
    await writeFile(join(root, 'check.mjs'), script);
    const { stdout, stderr } = spawnSync(join(made.path, 'lib/node/bin/node'), [join(root, 'check.mjs')], {
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual({
      addon: false,
      same: true,
      codes: Array.from({ length: 8 }, () => 'BUNDLE_INVALID'),
      frame: sha256(compressFrame(content)).replace('sha256:', ''),
    });
  });
});
