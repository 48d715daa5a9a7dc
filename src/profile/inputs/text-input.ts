import { basename, extname } from 'node:path';

import type { Digest } from '../../content/digest.ts';
import { readManifests } from '../../discovery/read-manifests.ts';
import type { EdgeBundleError } from '../../errors.ts';
import { looksLikeProfile } from './cluster-profile.ts';
import { maskMacros } from '../macros/macro-text.ts';
import { combineProblems, problem } from '../problems.ts';
import { parseProfileDocument } from '../profile-document.ts';
import type { ClusterProfile, ManifestSet, ReferenceList } from '../profile-kinds.ts';
import { parseYaml } from '../yaml-text.ts';

interface TextFile {
  readonly file: string;
  readonly digest: Digest;
}

/**
 * Reads a text file: a cluster profile, Kubernetes objects, or, where it is neither JSON nor a YAML mapping, a list of
 * references (one a line; `#` starts a comment).
 *
 * @throws EdgeBundleError PROFILE_INVALID with path and reason, all problems together
 */
export function readTextInput(text: string, source: TextFile): ClusterProfile | ManifestSet | ReferenceList {
  const where = `'${source.file}'`;
  const { documents, isList, problems } = readDocuments(text, where);
  if (isList) return referenceList(text, source);
  if (problems.length > 0) throw combineProblems(where, problems);
  if (documents.some(isKubernetesObject)) {
    const path = basename(source.file);
    throwIfAny(where, notObjects(documents, where));
    return { kind: 'manifests', name: nameOf(path), version: undefined, files: [{ path, text }], ...source };
  }
  if (documents.length > 1) throw problem(where, `holds ${documents.length} YAML documents; a profile is one`);
  return clusterProfile(documents[0], source);
}

/** What keeps the text of a file in a folder of manifests from being applied. */
export function manifestProblems(text: string, where: string): readonly EdgeBundleError[] {
  const { documents, isList, problems } = readDocuments(text, where);
  if (problems.length > 0) return problems;
  if (documents.some(looksLikeProfile)) {
    return [problem(where, 'is a cluster profile, not a manifest', { hint: 'Give it as an input of its own.' })];
  }
  return isList && documents.length > 0 ? [notAnObject(where)] : notObjects(documents, where);
}

/** The file's name without its ending. */
export function nameOf(path: string): string {
  return basename(path, extname(path));
}

interface Documents {
  readonly documents: readonly unknown[];
  /** Whether it is neither JSON nor YAML with mappings. */
  readonly isList: boolean;
  readonly problems: readonly EdgeBundleError[];
}

function readDocuments(text: string, where: string): Documents {
  const json = parseJson(text);
  if (json !== undefined) return { documents: [json], isList: false, problems: [] };
  if (/^(?:---[ \t]+)?apiVersion[ \t]*:/m.test(text)) {
    // Manifests may be much larger than a profile, and what the API server accepts is no problem in them.
    const { documents, problems } = readManifests(maskMacros(text).text, where);
    const values = documents.map(({ value }) => value);
    if (!values.some(looksLikeProfile)) return { documents: values, isList: false, problems };
  }
  const { documents, startsWithMapping, problems } = parseYaml(text, where);
  return { documents, isList: !startsWithMapping, problems };
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

/** A profile of Palette's may have `apiVersion` and `kind` too. */
function isKubernetesObject(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || looksLikeProfile(value)) return false;
  return isName(Reflect.get(value, 'apiVersion')) && isName(Reflect.get(value, 'kind'));
}

function isName(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}

function notObjects(documents: readonly unknown[], where: string): EdgeBundleError[] {
  const place = (index: number): string => (documents.length === 1 ? where : `${where}, document ${index + 1}`);
  return documents.flatMap((document, index) => (isKubernetesObject(document) ? [] : [notAnObject(place(index))]));
}

function notAnObject(where: string): EdgeBundleError {
  return problem(where, 'is no Kubernetes object: it has no apiVersion and kind', {
    hint: 'Take out what is not applied to the cluster; a chart is given by its own folder or archive.',
  });
}

function throwIfAny(where: string, problems: readonly EdgeBundleError[]): void {
  if (problems.length > 0) throw combineProblems(where, problems);
}

function clusterProfile(value: unknown, source: TextFile): ClusterProfile {
  const where = `'${source.file}'`;
  if (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !('spec' in value || 'metadata' in value)
  ) {
    throw problem(where, 'is neither a profile (metadata and spec) nor a Kubernetes object (apiVersion and kind)', {
      hint: inputHint,
    });
  }
  const document = parseProfileDocument(value, where);
  const { metadata, spec } = document;
  return { kind: 'profile', name: metadata.name, version: spec.version ?? undefined, document, ...source };
}

function referenceList(text: string, source: TextFile): ReferenceList {
  const entries = text.split(/\r?\n/).flatMap((content, index) => {
    const reference = content.replace(/(^|\s)#.*$/, '').trim();
    return reference === '' ? [] : [{ reference, line: index + 1 }];
  });
  if (entries.length === 0) {
    throw problem(`'${source.file}'`, 'holds no profile and no image reference', { hint: inputHint });
  }
  return { kind: 'list', name: nameOf(source.file), version: undefined, entries, ...source };
}

const inputHint =
  'Give a profile as Palette exports it (JSON or YAML), Kubernetes manifests, the folder or archive of a chart or a pack, or a text file with one image reference a line.';
