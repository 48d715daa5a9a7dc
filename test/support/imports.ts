import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

import ts from 'typescript';

/** What one source file refers to. */
export interface SourceFacts {
  /** Specifiers of every kind of import: static, of types, dynamic, `export from`, `import('…')` types, `require`. */
  readonly imports: readonly string[];
  /** How it prints, exits or reads the command line: `console`, `process.exit` … */
  readonly processUses: readonly string[];
}

const terminalMembers: ReadonlySet<string> = new Set(['stdin', 'stdout', 'stderr', 'exit', 'exitCode', 'argv']);

/** Parses TypeScript, so that comments and texts do not count. */
export function readSource(text: string): SourceFacts {
  const imports: string[] = [];
  const processUses: string[] = [];
  const visit = (node: ts.Node): void => {
    const specifier = specifierOf(node);
    if (specifier !== undefined && ts.isStringLiteralLike(specifier)) imports.push(specifier.text);
    const use = processUseOf(node);
    if (use !== undefined) processUses.push(use);
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile('source.ts', text, ts.ScriptTarget.Latest, true));
  return { imports, processUses };
}

/** All TypeScript files below `folder`, by their path from there. */
export function readSources(folder: string): ReadonlyMap<string, SourceFacts> {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  return new Map(names.sort().map((name) => [name, readSource(readFileSync(join(folder, name), 'utf8'))]));
}

/** The files of the same folder that `file` imports, by their path. */
export function importedFiles(file: string, { imports }: SourceFacts): readonly string[] {
  return imports.filter((specifier) => specifier.startsWith('.')).map((specifier) => join(dirname(file), specifier));
}

/** A cycle of imports, if there is one: the files in order, the first one again at the end. */
export function findCycle(sources: ReadonlyMap<string, SourceFacts>): readonly string[] | undefined {
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): readonly string[] | undefined => {
    const at = path.indexOf(file);
    if (at >= 0) return [...path.slice(at), file];
    const facts = sources.get(file);
    if (done.has(file) || facts === undefined) return undefined;
    for (const next of importedFiles(file, facts)) {
      const cycle = visit(next, [...path, file]);
      if (cycle !== undefined) return cycle;
    }
    done.add(file);
    return undefined;
  };
  for (const file of sources.keys()) {
    const cycle = visit(file, []);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}

/** The top folder of a file; a file at the top is a room of its own, by its name. */
export function roomOf(file: string): string {
  const [first = ''] = relative('', file).split('/');
  return first.replace(/\.ts$/, '');
}

function specifierOf(node: ts.Node): ts.Expression | undefined {
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return node.moduleSpecifier;
  if (ts.isExternalModuleReference(node)) return node.expression;
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
    return ts.isStringLiteral(node.argument.literal) ? node.argument.literal : undefined;
  }
  if (!ts.isCallExpression(node)) return undefined;
  const { expression } = node;
  const isRequire = ts.isIdentifier(expression) && expression.text === 'require';
  return expression.kind === ts.SyntaxKind.ImportKeyword || isRequire ? node.arguments[0] : undefined;
}

function processUseOf(node: ts.Node): string | undefined {
  if (ts.isIdentifier(node) && node.text === 'console' && !ts.isPropertyAccessExpression(node.parent)) return 'console';
  if (ts.isPropertyAccessExpression(node) && ts.isIdentifier(node.expression)) {
    const { text } = node.expression;
    if (text === 'console') return 'console';
    if (text === 'process' && terminalMembers.has(node.name.text)) return `process.${node.name.text}`;
  }
  if (ts.isImportSpecifier(node)) {
    const { moduleSpecifier } = node.parent.parent.parent;
    const name = (node.propertyName ?? node.name).text;
    const isOfProcess = ts.isStringLiteral(moduleSpecifier) && moduleSpecifier.text === 'node:process';
    if (isOfProcess && terminalMembers.has(name)) return `process.${name}`;
  }
  return undefined;
}
