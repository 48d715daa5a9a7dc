import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Readable } from 'node:stream';

import { type Descriptor, describe } from '../content/descriptor.ts';
import { Digester } from '../content/digest.ts';
import { mediaTypes } from '../content/media-types.ts';
import type { FetchOptions, OperationOptions, ReadOnlyContentStore } from '../content/store.ts';
import { EdgeBundleError, throwIfAborted } from '../errors.ts';
import { fileError } from '../files/file-error.ts';
import { rangeBounds } from '../store/byte-range.ts';
import { streamFile } from '../store/file-stream.ts';
import { goJson } from './go-json.ts';

const artifactType = 'application/vnd.edge-bundle.file.v1';

/** A file as an OCI artifact. Equal bytes under an equal name give equal digests. */
export interface FileArtifact {
  readonly name: string;
  /** Whether its owner may execute it. */
  readonly executable: boolean;
  /** What stands for a place of origin: `localhost/files@<digest>`. */
  readonly reference: string;
  readonly root: Descriptor;
  /** The file itself. */
  readonly content: Descriptor;
  /** Has all of the artifact; the file is read where it is. */
  readonly store: ReadOnlyContentStore;
}

/**
 * Reads the file once, for its digest: its content stays where it is. A file that changes afterwards is refused by whoever
 * keeps the artifact.
 *
 * @throws EdgeBundleError FILE_FAILED, ABORTED
 */
export async function fileArtifact(
  path: string,
  name: string,
  { signal }: OperationOptions = {},
): Promise<FileArtifact> {
  const { digest, size, head, mode } = await readFacts(path, signal);
  const content: Descriptor = { mediaType: typeOf(head), digest, size };
  const read = (range: ByteBounds, stop: AbortSignal | undefined): Readable =>
    streamFile(path, range, { signal: stop });
  return artifactOf({ name, executable: (mode & 0o100) !== 0, content, read });
}

/** A file that is here, and on no disk. */
export function bytesArtifact(name: string, bytes: Buffer): FileArtifact {
  const content = describe(bytes, typeOf(bytes.subarray(0, 4)));
  const read = ({ start, end }: ByteBounds): Readable => Readable.from([bytes.subarray(start, end)]);
  return artifactOf({ name, executable: false, content, read });
}

interface ByteBounds {
  readonly start: number;
  readonly end: number;
}

interface ArtifactParts extends Pick<FileArtifact, 'name' | 'executable' | 'content'> {
  readonly read: (range: ByteBounds, signal: AbortSignal | undefined) => Readable;
}

function artifactOf({ name, executable, content, read }: ArtifactParts): FileArtifact {
  const emptyBytes = Buffer.from('{}');
  const empty = describe(emptyBytes, mediaTypes.ociEmpty);
  const manifest = goJson({
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    artifactType,
    config: { ...empty, data: 'e30=' },
    layers: [{ ...content, annotations: { 'org.opencontainers.image.title': name } }],
  });
  const root = describe(manifest, mediaTypes.ociManifest);
  const held = new Map([
    [root.digest, manifest],
    [empty.digest, emptyBytes],
  ]);
  const store: ReadOnlyContentStore = {
    exists: (target) => Promise.resolve(held.has(target.digest) || target.digest === content.digest),
    fetch: (target, { range, signal: stop }: FetchOptions = {}) => {
      const bounds = rangeBounds(target, range);
      const bytes = held.get(target.digest)?.subarray(bounds.start, bounds.end);
      return Promise.resolve(bytes === undefined ? read(bounds, stop) : Readable.from([bytes]));
    },
  };
  return { name, executable, reference: `localhost/files@${root.digest}`, root, content, store };
}

interface FileFacts extends Pick<Descriptor, 'digest' | 'size'> {
  /** The first bytes. */
  readonly head: Buffer;
  readonly mode: number;
}

async function readFacts(path: string, signal: AbortSignal | undefined): Promise<FileFacts> {
  const digester = new Digester();
  let [size, head] = [0, Buffer.alloc(0)];
  try {
    const info = await stat(path);
    if (!info.isFile())
      throw new EdgeBundleError('FILE_FAILED', `'${path}' is not a file`, {
        hint: 'Pack a folder into an archive first.',
      });
    for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 }) as AsyncIterable<Buffer>) {
      throwIfAborted(signal);
      if (size === 0) head = Buffer.from(chunk.subarray(0, 4));
      digester.update(chunk);
      size += chunk.byteLength;
    }
    return { digest: digester.digest(), size, head, mode: info.mode };
  } catch (error) {
    throw fileError(error, `cannot read '${path}'`);
  }
}

/** By its first bytes (RFC 1952, section 2.3.1; RFC 8878, section 3.1.1): what is compressed already is stored as it is. */
function typeOf(head: Buffer): string {
  if (head.subarray(0, 2).equals(Buffer.from('1f8b', 'hex'))) return 'application/gzip';
  if (head.equals(Buffer.from('28b52ffd', 'hex'))) return 'application/zstd';
  return mediaTypes.octetStream;
}
