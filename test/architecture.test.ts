import { fileURLToPath } from 'node:url';

import { describe, expect, it } from 'vitest';

import { findCycle, importedFiles, readSource, readSources, roomOf, type SourceFacts } from './support/imports.ts';

const base = ['errors', 'redaction'];
const contracts = [...base, 'content', 'files'];
const stores = [...contracts, 'oci-client', 'store', 'copy'];
const formats = [...stores, 'discovery', 'helm', 'artifact', 'bundle'];
const resolving = [...formats, 'profile', 'resolve'];
const features = [
  'profile',
  'palette',
  'resolve',
  'lint',
  'harbor',
  'serve',
  'report',
  'build',
  'delta',
  'loader',
  'packaging',
  'mirror-config',
  'iso',
  'preflight',
];
const all = [...formats, ...features, 'trust', 'first-boot'];

/** Which rooms the files of a room may import, besides their own. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  redaction: [],
  errors: ['redaction'],
  content: base,
  files: [...base, 'content'],
  'oci-client': contracts,
  store: contracts,
  copy: contracts,
  discovery: [...contracts, 'oci-client'],
  helm: stores,
  artifact: [...contracts, 'store'],
  bundle: stores,
  trust: [...stores, 'bundle'],
  profile: formats,
  palette: [...stores, 'profile'],
  resolve: [...formats, 'profile'],
  lint: resolving,
  harbor: formats,
  serve: formats,
  report: formats,
  build: formats,
  delta: formats,
  loader: formats,
  packaging: formats,
  'mirror-config': [...formats, 'loader', 'serve'],
  iso: [...formats, 'trust', 'mirror-config'],
  preflight: [...formats, 'harbor', 'loader', 'report'],
  'first-boot': [...formats, 'trust', 'harbor', 'loader', 'preflight', 'report'],
  index: all,
  cli: [...all, 'index'],
};

const sources = readSources(fileURLToPath(new URL('../src', import.meta.url)));

describe('the source', () => {
  it('imports in one direction only', () => {
    const violations = [...sources].flatMap(([file, facts]) => {
      const room = roomOf(file);
      const allowed = mayImport[room];
      if (allowed === undefined) return [`${file}: the room '${room}' has no row in the table`];
      return importedFiles(file, facts)
        .filter((imported) => roomOf(imported) !== room && !allowed.includes(roomOf(imported)))
        .map((imported) => `${file} imports ${imported}`);
    });
    expect(violations).toEqual([]);
  });

  it('imports only files that are there', () => {
    const missing = [...sources].flatMap(([file, facts]) =>
      importedFiles(file, facts).filter((imported) => !sources.has(imported)),
    );
    expect(missing).toEqual([]);
  });

  it('has no cycles', () => {
    expect(findCycle(sources)).toBeUndefined();
  });

  it('prints, exits and reads the command line only in cli', () => {
    const uses = [...sources]
      .filter(([file]) => roomOf(file) !== 'cli')
      .flatMap(([file, { processUses }]) => processUses.map((use) => `${file} uses ${use}`));
    expect(uses).toEqual([]);
  });

  it('needs the addon for zstd in one place, which does without it on a host', () => {
    const users = [...sources].filter(([, { imports }]) => imports.some((name) => name.startsWith('zstd-napi')));
    expect(users.map(([file]) => file)).toEqual(['bundle/zstd-codec.ts']);
  });
});

describe('the check of the source', () => {
  it('sees every kind of import', () => {
    const text = `
      import { a } from './a.ts';
      import type { B } from './b.ts';
      import './c.ts';
      export * from './d.ts';
      export { e } from './e.ts';
      const f = await import('./f.ts');
      type G = import('./g.ts').G;
      const h = require('./h.cjs');
      import i = require('./i.cjs');
      const k = await import(\`./k.ts\`);
      // import './comment.ts';
      const text = "import './text.ts'";
    `;
    expect(readSource(text).imports).toEqual([
      './a.ts',
      './b.ts',
      './c.ts',
      './d.ts',
      './e.ts',
      './f.ts',
      './g.ts',
      './h.cjs',
      './i.cjs',
      './k.ts',
    ]);
  });

  it('sees what prints, exits or reads the command line', () => {
    const text = `
      import { argv as words, pid } from 'node:process';
      console.log(1);
      const { log } = console;
      process.stdout.write('x');
      process.exit(1);
      process.exitCode = 1;
      process.once('exit', () => undefined);
      const console_ = process.pid; // console.log
    `;
    expect(readSource(text).processUses).toEqual([
      'process.argv',
      'console',
      'console',
      'process.stdout',
      'process.exit',
      'process.exitCode',
    ]);
  });

  it('finds a cycle', () => {
    const facts = (...imports: string[]): SourceFacts => ({ imports, processUses: [] });
    const acyclic = new Map([
      ['a/x.ts', facts('./y.ts', '../b/z.ts')],
      ['a/y.ts', facts('../b/z.ts')],
      ['b/z.ts', facts('node:fs')],
    ]);
    expect(findCycle(acyclic)).toBeUndefined();
    const cyclic = new Map([...acyclic, ['b/z.ts', facts('../a/y.ts')]]);
    expect(findCycle(cyclic)).toEqual(['a/y.ts', 'b/z.ts', 'a/y.ts']);
  });
});
