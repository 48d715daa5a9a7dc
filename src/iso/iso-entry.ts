/** What is put on an ISO. Paths are those on the ISO, from its root. */
export type IsoEntry = FileEntry | SliceEntry | LinkEntry | BytesEntry | LateEntry;

/** A file of this machine. */
export interface FileEntry {
  readonly kind: 'file';
  readonly path: string;
  readonly file: string;
  /** In bytes. */
  readonly size: number;
  readonly executable: boolean;
}

/** Bytes within a file of this machine: a part that was never written by itself. */
export interface SliceEntry {
  readonly kind: 'slice';
  readonly path: string;
  readonly file: string;
  readonly offset: number;
  readonly size: number;
}

export interface LinkEntry {
  readonly kind: 'link';
  readonly path: string;
  /** The link on this machine. */
  readonly file: string;
}

export interface BytesEntry {
  readonly kind: 'bytes';
  readonly path: string;
  readonly bytes: Buffer;
}

/** Its size is known before its bytes are: checksums of what is written meanwhile. */
export interface LateEntry {
  readonly kind: 'late';
  readonly path: string;
  readonly size: number;
  readonly bytes: () => Promise<Buffer>;
}

/** What it takes on an ISO, in bytes. */
export function sizeOf(entry: IsoEntry): number {
  switch (entry.kind) {
    case 'link':
      return 0;
    case 'bytes':
      return entry.bytes.byteLength;
    case 'file':
    case 'slice':
    case 'late':
      return entry.size;
  }
}
