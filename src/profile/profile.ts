import { readFile, stat } from 'node:fs/promises';
import { basename, extname } from 'node:path';

import { type Digest, digestOf } from '../content/digest.ts';
import { fileError } from '../files/file-error.ts';
import { combineProblems, problem } from './problems.ts';
import { parseProfileDocument, type ProfileDocument } from './profile-document.ts';
import { parseYaml, type YamlText } from './yaml-text.ts';

interface ProfileFile {
  readonly name: string;
  /** A list has none. */
  readonly version: string | undefined;
  /** The path that it was read from. */
  readonly file: string;
  /** Of the file's bytes. */
  readonly digest: Digest;
}

/** A cluster profile: layers of packs. */
export interface ClusterProfile extends ProfileFile {
  readonly kind: 'profile';
  readonly document: ProfileDocument;
}

/** A plain list of image references; its name is that of the file without the ending. */
export interface ReferenceList extends ProfileFile {
  readonly kind: 'list';
  readonly entries: readonly { readonly reference: string; readonly line: number }[];
}

export type Profile = ClusterProfile | ReferenceList;

const maxFileBytes = 32 * 1024 * 1024;

/**
 * Reads a profile: Palette's export as JSON or YAML, or, where the file is neither JSON nor a YAML mapping, a list of
 * references (one a line; `#` starts a comment).
 *
 * @throws EdgeBundleError PROFILE_INVALID with path and reason, all problems together; FILE_FAILED
 */
export async function readProfile(file: string): Promise<Profile> {
  const bytes = await readBounded(file);
  const digest = digestOf(bytes);
  const text = decode(bytes, file);
  const json = parseJson(text);
  if (json !== undefined) return clusterProfile(json, { file, digest });

  const yaml = parseYaml(text, `'${file}'`);
  if (!yaml.startsWithMapping) return referenceList(text, { file, digest });
  return clusterProfile(singleDocument(yaml, file), { file, digest });
}

function clusterProfile(value: unknown, source: { file: string; digest: Digest }): ClusterProfile {
  const document = parseProfileDocument(value, `'${source.file}'`);
  const { metadata, spec } = document;
  return { kind: 'profile', name: metadata.name, version: spec.version ?? undefined, document, ...source };
}

function singleDocument({ documents, problems }: YamlText, file: string): unknown {
  if (problems.length > 0) throw combineProblems(`'${file}'`, problems);
  if (documents.length > 1) {
    throw problem(`'${file}'`, `holds ${documents.length} YAML documents; a profile is one`);
  }
  return documents[0];
}

function referenceList(text: string, source: { file: string; digest: Digest }): ReferenceList {
  const entries = text.split(/\r?\n/).flatMap((content, index) => {
    const reference = content.replace(/(^|\s)#.*$/, '').trim();
    return reference === '' ? [] : [{ reference, line: index + 1 }];
  });
  if (entries.length === 0) {
    throw problem(`'${source.file}'`, 'holds no profile and no image reference', {
      hint: 'Give a profile as Palette exports it (JSON or YAML), or a text file with one image reference a line.',
    });
  }
  return { kind: 'list', name: basename(source.file, extname(source.file)), version: undefined, entries, ...source };
}

/** Undefined where `text` is not JSON; it may be YAML then, whose reader names the line of a mistake. */
function parseJson(text: string): unknown {
  if (!/^\s*[{[]/.test(text)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function decode(bytes: Buffer, file: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw problem(`'${file}'`, 'is not text in UTF-8', { cause });
  }
}

async function readBounded(file: string): Promise<Buffer> {
  const what = `cannot read the profile '${file}'`;
  const { size } = await stat(file).catch((error: unknown) => {
    throw fileError(error, what);
  });
  if (size > maxFileBytes) throw problem(`'${file}'`, `has ${size} bytes; a profile has at most ${maxFileBytes}`);
  return readFile(file).catch((error: unknown) => {
    throw fileError(error, what);
  });
}
