import { copyFile, cp, lstat, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';

import { beforeAll, describe, expect, it } from 'vitest';

import { ComponentCache } from '../../src/packaging/component-cache.ts';
import type { LoaderPackage } from '../../src/packaging/package-loader.ts';
import { expectError } from '../support/expect-error.ts';
import { sha256 } from '../support/graphs.ts';
import { launcherOf, machine, makeLoaderPackage, runLauncher } from '../support/loader-package.ts';
import { runProgram } from '../support/run-program.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const modifiedS = 1_700_000_000;
let folder: string;
let made: LoaderPackage;
let version: string;

beforeAll(async () => {
  folder = await temporaryFolder();
  made = await makeLoaderPackage(join(folder, 'one'), { archive: 'tar.zst', sourceDateEpoch: modifiedS });
  ({ version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  });
}, 300_000);

/** Every file and folder below `root`: mode, time, and digest where it is a file. */
async function listTree(root: string): Promise<readonly string[]> {
  const paths = ['', ...(await readdir(root, { recursive: true })).sort()];
  return Promise.all(
    paths.map(async (path) => {
      const place = join(root, path);
      const { mode, mtimeMs } = await lstat(place);
      const digest = mode & 0o040000 ? 'folder' : sha256(await readFile(place));
      return `${path} ${mode.toString(8)} ${mtimeMs} ${digest}`;
    }),
  );
}

describe('a loader package', () => {
  it('has its name, and is smaller than 130 MB', async () => {
    expect(basename(made.path)).toBe(`edge-bundle-loader-${version}-linux-${machine}`);
    const files = (await readdir(made.path, { recursive: true, withFileTypes: true })).filter((file) => file.isFile());
    const sizes = await Promise.all(files.map(async (file) => (await lstat(join(file.parentPath, file.name))).size));
    const total = sizes.reduce((sum, size) => sum + size, 0);
    expect(total).toBeLessThan(130_000_000);
    expect(made).toMatchObject({ bytes: total, files: files.length });
  });

  it('is the same, bytes, modes and times, whenever and wherever it is made', async () => {
    const umask = process.umask(0o077);
    try {
      const again = await makeLoaderPackage(join(folder, 'two'), { archive: 'tar.zst', sourceDateEpoch: modifiedS });
      expect(again.sha256).toBe(made.sha256);
      expect(sha256(await readFile(again.archive ?? ''))).toBe(sha256(await readFile(made.archive ?? '')));
    } finally {
      process.umask(umask);
    }
    const tree = await listTree(made.path);
    expect(await listTree(join(folder, 'two', basename(made.path)))).toEqual(tree);
    expect(tree.every((line) => line.includes(` ${modifiedS * 1000} `))).toBe(true);
    await rm(join(folder, 'two'), { recursive: true });
  });

  it('lists its files for sha256sum, and has nothing that is not listed', async () => {
    runProgram('sha256sum', ['--check', '--strict', '--quiet', 'SHA256SUMS'], { cwd: made.path });
    const listed = (await readFile(join(made.path, 'SHA256SUMS'), 'utf8')).trimEnd().split('\n');
    expect(listed).toHaveLength(made.files - 1);
  });

  it('has no types, source maps, tests, addons or links', async () => {
    const entries = await readdir(made.path, { recursive: true, withFileTypes: true });
    expect(entries.filter((entry) => !entry.isFile() && !entry.isDirectory())).toEqual([]);
    const names = entries
      .map(({ name }) => name)
      .filter((name) => /\.(?:ts|map|node)$|zstd-napi|^(?:readme|changelog)/i.test(name));
    expect(names).toEqual([]);
  });

  it('has the licence of everything in it, and lists everything', async () => {
    const text = await readFile(join(made.path, 'share', 'sbom.spdx.json'), 'utf8');
    const { packages, relationships } = JSON.parse(text) as {
      packages: readonly { name: string; versionInfo: string; SPDXID: string }[];
      relationships: readonly { relatedSpdxElement: string }[];
    };
    const modules = await readdir(join(made.path, 'lib/app/node_modules'), { recursive: true });
    const manifests = modules.filter((path) => /(?:^|node_modules\/)(?:@[^/]+\/)?[^/]+\/package\.json$/.test(path));
    const installed = await Promise.all(
      manifests.map(async (path) => {
        const module = JSON.parse(await readFile(join(made.path, 'lib/app/node_modules', path), 'utf8')) as {
          name: string;
          version: string;
        };
        return `${module.name} ${module.version}`;
      }),
    );
    expect(installed.length).toBeGreaterThan(20);
    const listed = packages.map(({ name, versionInfo }) => `${name} ${versionInfo}`);
    expect(listed).toEqual(
      expect.arrayContaining([...installed, `node ${made.node}`, 'libstdc++6 10.2.1-6', 'libgcc-s1 10.2.1-6']),
    );
    expect(new Set(packages.map(({ SPDXID }) => SPDXID)).size).toBe(packages.length);
    expect(relationships).toHaveLength(packages.length);
    for (const name of installed) {
      expect(await readdir(join(made.path, 'LICENSES/npm', name.replace(/ (?=[^ ]+$)/, '-')))).not.toEqual([]);
    }
    expect(await readFile(join(made.path, 'LICENSES/node/LICENSE'), 'utf8')).toContain('Node.js is licensed');
    expect(await readFile(join(made.path, 'LICENSES/gcc-runtime/GPL-3'), 'utf8')).toContain('GNU GENERAL PUBLIC');
  });

  it('is not put in the place of something else', async () => {
    const place = join(folder, 'taken', basename(made.path));
    await mkdir(place, { recursive: true });
    await writeFile(join(place, 'letter.txt'), 'dear');
    await expectError('FILE_FAILED', 'something else', () => makeLoaderPackage(join(folder, 'taken')));
    expect(await readdir(join(folder, 'taken'))).toEqual([basename(made.path)]);
  });
});

describe('two runs at once', () => {
  it('are one too many', async () => {
    const runs = await Promise.allSettled([1, 2].map(() => makeLoaderPackage(join(folder, 'race'))));
    const failed = runs.find((run) => run.status === 'rejected');
    expect(runs.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(failed?.reason).toMatchObject({ code: 'LOCKED' });
    expect(await readdir(join(folder, 'race'))).toEqual([basename(made.path)]);
    await rm(join(folder, 'race'), { recursive: true });
  });
});

describe('an archive', () => {
  it('has the same files, modes and times', async () => {
    expect(made.archive).toBe(`${made.path}.tar.zst`);
    await mkdir(join(folder, 'unpacked'));
    const command = ['--zstd', '--preserve-permissions', '-xf', `${made.path}.tar.zst`];
    runProgram('tar', command, { cwd: join(folder, 'unpacked') });
    expect(await listTree(join(folder, 'unpacked', basename(made.path)))).toEqual(await listTree(made.path));
    await rm(join(folder, 'unpacked'), { recursive: true });
  });
});

describe('what is downloaded', () => {
  const file = { name: 'no-such-tool', version: '1.0.0', integrity: `sha512-${'A'.repeat(86)}==` };

  it('is refused where it is not what is expected, and asked for again', async () => {
    const kept = await temporaryFolder();
    await writeFile(join(kept, 'no-such-tool-1.0.0.tgz'), 'something else');
    const asked: string[] = [];
    // npm asks a registry that refuses connections.
    const registry = process.env.npm_config_registry;
    process.env.npm_config_registry = 'http://127.0.0.1:9/';
    process.env.npm_config_fetch_retries = '0';
    try {
      const cache = new ComponentCache({ folder: kept, onDownload: ({ name }) => asked.push(name) });
      await expectError('TOOL_FAILED', 'npm failed', () => cache.npmPackage(file));
    } finally {
      delete process.env.npm_config_fetch_retries;
      if (registry === undefined) delete process.env.npm_config_registry;
      else process.env.npm_config_registry = registry;
    }
    expect(asked).toEqual(['no-such-tool']);
  });

  it('may have been put there by hand', async () => {
    const kept = await temporaryFolder();
    const content = Buffer.from('by hand');
    await writeFile(join(kept, 'tool-1.0.0.tgz'), content);
    const integrity = `sha256-${Buffer.from(sha256(content).slice(7), 'hex').toString('base64')}`;
    const cache = new ComponentCache({ folder: kept });
    expect(await cache.npmPackage({ name: 'tool', version: '1.0.0', integrity })).toEqual(content);
  });
});

describe('the launcher', () => {
  it('runs without an environment, from any folder, and through links', async () => {
    await mkdir(join(folder, 'usr/bin'), { recursive: true });
    await symlink(launcherOf(made), join(folder, 'absolute'));
    await symlink('../../absolute', join(folder, 'usr/bin/edge-bundle'));
    for (const launcher of [launcherOf(made), join(folder, 'absolute'), join(folder, 'usr/bin/edge-bundle')]) {
      expect(runLauncher(launcher, ['--version'], { cwd: '/' })).toEqual({
        status: 0,
        stdout: `${version}\n`,
        stderr: '',
      });
    }
    expect(runLauncher('/bin/sh', ['edge-bundle', '--version'], { cwd: join(made.path, 'bin') }).stdout).toBe(
      `${version}\n`,
    );
  });

  it('is not impressed by what is meant for another Node.js', () => {
    const env = {
      NODE_OPTIONS: '--no-such-option',
      NODE_PATH: '/nowhere',
      NODE_TLS_REJECT_UNAUTHORIZED: '0',
      OPENSSL_CONF: '/nowhere.cnf',
    };
    expect(runLauncher(launcherOf(made), ['--version'], { env })).toEqual({
      status: 0,
      stdout: `${version}\n`,
      stderr: '',
    });
  });

  it('gives the exit codes and messages of edge-bundle', () => {
    const { status, stderr } = runLauncher(launcherOf(made), ['inspect', '/nowhere']);
    expect(status).toBe(1);
    expect(stderr).toContain("'/nowhere'");
  });

  it('says what is wrong where the package is not complete', async () => {
    const broken = join(folder, 'a name: not found', 'loader');
    await mkdir(join(broken, 'bin'), { recursive: true });
    await copyFile(launcherOf(made), join(broken, 'bin/edge-bundle'));
    const missing = runLauncher(join(broken, 'bin/edge-bundle'), ['--version']);
    expect(missing.status).toBe(1);
    expect(missing.stderr).toMatch(/^edge-bundle: .*is not complete/);
    await cp(join(made.path, 'lib'), join(broken, 'lib'), { recursive: true });
    expect(runLauncher(join(broken, 'bin/edge-bundle'), ['--version']).stdout).toBe(`${version}\n`);
    // A program of another architecture, as far as this machine can tell.
    await writeFile(join(broken, 'lib/node/bin/node'), Buffer.from('7f454c46020101', 'hex'));
    const foreign = runLauncher(join(broken, 'bin/edge-bundle'), ['--version']);
    expect(foreign.status).toBe(1);
    expect(foreign.stderr).toContain(`for linux/${machine} with glibc 2.28`);
  });
});
