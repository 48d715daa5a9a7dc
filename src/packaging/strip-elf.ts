import { EdgeBundleError } from '../errors.ts';

/** ELF-64, little endian (System V ABI, chapter 4, "ELF Header"): offsets of what is read and written here. */
const header = { bytes: 64, programOffset: 32, sectionOffset: 40, programSize: 54, sectionSize: 58 } as const;
const programHeaderBytes = 56;
const sectionHeaderBytes = 64;
const loadable = 1;
const sectionTypes = { strings: 3, noBits: 8 } as const;
const allocated = 2n;

/** `e_machine` of an ELF file: 62 is x86-64, 183 AArch64. */
export function elfMachine(file: Buffer): number {
  return readHeader(file).machine;
}

/**
 * An executable without what is not loaded into memory: symbols and debug information. What `strip --strip-all` does, for
 * any architecture, with the same bytes wherever it runs.
 *
 * @throws EdgeBundleError UNSUPPORTED where it is no such file: ELF-64, little endian
 */
export function stripElf(file: Buffer): Buffer {
  const { programs, sections } = readHeader(file);
  const loadedEnd = Math.max(...programs.filter(({ type }) => type === loadable).map(({ end }) => end));
  const kept = sections.filter(({ index, flags }) => index === 0 || (flags & allocated) !== 0n);
  if (kept.some(({ end, type }) => type !== sectionTypes.noBits && end > loadedEnd)) {
    throw unsupported('a section that is needed lies behind what is loaded');
  }
  const places = new Map(kept.map(({ index }, place) => [index, place]));
  const names = Buffer.concat([...kept.map(({ name }) => Buffer.from(`${name}\0`)), Buffer.from('.shstrtab\0')]);
  const table = Buffer.alloc((kept.length + 1) * sectionHeaderBytes);
  let nameOffset = 0;
  for (const [place, { head, name }] of kept.entries()) {
    const copy = table.subarray(place * sectionHeaderBytes, (place + 1) * sectionHeaderBytes);
    head.copy(copy);
    copy.writeUInt32LE(nameOffset, 0);
    // sh_link names another section by its number.
    copy.writeUInt32LE(places.get(head.readUInt32LE(40)) ?? 0, 40);
    if (((head.readBigUInt64LE(8) >> 6n) & 1n) === 1n) copy.writeUInt32LE(places.get(head.readUInt32LE(44)) ?? 0, 44);
    nameOffset += name.length + 1;
  }
  const namesHead = table.subarray(kept.length * sectionHeaderBytes);
  namesHead.writeUInt32LE(nameOffset, 0);
  namesHead.writeUInt32LE(sectionTypes.strings, 4);
  namesHead.writeBigUInt64LE(BigInt(loadedEnd), 24);
  namesHead.writeBigUInt64LE(BigInt(names.byteLength), 32);
  namesHead.writeBigUInt64LE(1n, 48);

  const tableOffset = Math.ceil((loadedEnd + names.byteLength) / 8) * 8;
  const stripped = Buffer.alloc(tableOffset + table.byteLength);
  file.copy(stripped, 0, 0, loadedEnd);
  names.copy(stripped, loadedEnd);
  table.copy(stripped, tableOffset);
  stripped.writeBigUInt64LE(BigInt(tableOffset), header.sectionOffset);
  stripped.writeUInt16LE(kept.length + 1, 60);
  stripped.writeUInt16LE(kept.length, 62);
  return stripped;
}

interface Section {
  readonly index: number;
  readonly name: string;
  readonly type: number;
  readonly flags: bigint;
  readonly end: number;
  readonly head: Buffer;
}

interface ElfHeader {
  readonly machine: number;
  readonly programs: readonly { readonly type: number; readonly end: number }[];
  readonly sections: readonly Section[];
}

function readHeader(file: Buffer): ElfHeader {
  const isElf64 = file.byteLength > header.bytes && file.readUInt32BE(0) === 0x7f454c46 && file.readUInt8(4) === 2;
  if (!isElf64 || file.readUInt8(5) !== 1) throw unsupported('it is no ELF file of 64 bits, little endian');
  if (
    file.readUInt16LE(header.programSize) !== programHeaderBytes ||
    file.readUInt16LE(header.sectionSize) !== sectionHeaderBytes
  ) {
    throw unsupported('its headers have other sizes');
  }
  try {
    const heads = (offset: number, count: number, bytes: number): Buffer[] =>
      Array.from({ length: count }, (_, index) => {
        const start = Number(file.readBigUInt64LE(offset)) + index * bytes;
        if (start + bytes > file.byteLength) throw unsupported('it is cut off');
        return file.subarray(start, start + bytes);
      });
    const programs = heads(header.programOffset, file.readUInt16LE(56), programHeaderBytes).map((head) => ({
      type: head.readUInt32LE(0),
      end: Number(head.readBigUInt64LE(8)) + Number(head.readBigUInt64LE(32)),
    }));
    const sectionHeads = heads(header.sectionOffset, file.readUInt16LE(60), sectionHeaderBytes);
    const nameTable = Number(sectionHeads[file.readUInt16LE(62)]?.readBigUInt64LE(24) ?? 0n);
    const sections = sectionHeads.map((head, index): Section => {
      const start = nameTable + head.readUInt32LE(0);
      return {
        index,
        name: file.toString('latin1', start, file.indexOf(0, start)),
        type: head.readUInt32LE(4),
        flags: head.readBigUInt64LE(8),
        end: Number(head.readBigUInt64LE(24)) + Number(head.readBigUInt64LE(32)),
        head,
      };
    });
    return { machine: file.readUInt16LE(18), programs, sections };
  } catch (error) {
    if (error instanceof RangeError) throw unsupported('it is cut off');
    throw error;
  }
}

function unsupported(reason: string): EdgeBundleError {
  return new EdgeBundleError('UNSUPPORTED', `the executable cannot be stripped: ${reason}`);
}
