import type { Digest } from '../content/digest.ts';
import type { ProfileDocument } from './profile-document.ts';

interface Input {
  readonly name: string;
  /** Undefined where it does not say, or has none. */
  readonly version: string | undefined;
  /** The path or the address that it was given by. */
  readonly file: string;
  /** Of the file's bytes; of a folder, over the sorted paths and the contents of its files. */
  readonly digest: Digest;
}

/** A cluster profile: layers of packs. */
export interface ClusterProfile extends Input {
  readonly kind: 'profile';
  readonly document: ProfileDocument;
}

/** A plain list of image references; its name is that of the file without the ending. */
export interface ReferenceList extends Input {
  readonly kind: 'list';
  readonly entries: readonly { readonly reference: string; readonly line: number }[];
}

/** Kubernetes objects as they would be applied, from a file or from all files of a folder. */
export interface ManifestSet extends Input {
  readonly kind: 'manifests';
  /** Sorted by path; the path is relative to the folder, or the file's name. */
  readonly files: readonly { readonly path: string; readonly text: string }[];
}

/** A Helm chart or a pack that is given by itself; what it holds is not read yet. */
export interface PackageInput extends Omit<Input, 'digest'> {
  readonly kind: 'chart' | 'pack';
  /** `remote`: `file` is an address, `oci://…` or `https://…`. */
  readonly source: 'folder' | 'archive' | 'remote';
  /** Of an archive; what a folder or an address holds is not read yet. */
  readonly digest: Digest | undefined;
}

/** What can be given as an input. */
export type Profile = ClusterProfile | ReferenceList | ManifestSet | PackageInput;
