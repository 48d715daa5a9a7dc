/** Changes of real inputs: of their bytes, of their lines and words, and, where they are JSON, of what they say. */
import type { Random } from './random.ts';

const digest = `sha256:${'a'.repeat(64)}`;

/** What parsers have stumbled over elsewhere. */
const hostileTexts: readonly string[] = [
  '',
  '\0',
  '\n',
  'a\nb: c',
  '\u202egnp.exe',
  '\ufeff',
  '\ud800',
  '../../../../etc/passwd',
  '/etc/passwd',
  'x'.repeat(4096),
  '/'.repeat(300),
  'a/'.repeat(300),
  '[['.repeat(200),
  '{"a":'.repeat(200),
  '&a [*a,*a]',
  '{{'.repeat(200),
  '__proto__',
  'constructor',
  'toString',
  '9'.repeat(400),
  '-1',
  '1e308',
  '0x7fffffffffffffff',
  '9007199254740993',
  digest,
  digest.replace('sha256', 'sha512'),
  digest.replace('sha256', 'md5'),
  digest.toUpperCase(),
  'http://169.254.169.254/latest',
  'javascript:alert(1)',
  '%00%2e%2e%2f',
  '"',
  "'",
  '\\',
  ',;=" ',
  '(a+)+$',
  `${'a'.repeat(500)}!`,
  ' '.repeat(500),
  '\t: - ? | > & * ! % @ `',
  '? '.repeat(300),
  '- '.repeat(300),
  'a: '.repeat(300),
];

const hostileValues: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -1,
  -0,
  1.5,
  1e308,
  2 ** 53,
  2 ** 31,
  [],
  {},
  [[]],
  [null],
  { __proto__: null },
  ...hostileTexts,
];

export function mutate(seeds: readonly Buffer[], random: Random): Buffer {
  let bytes = random.pick(seeds);
  // As it is, now and then: a fuzzer whose inputs are all refused at the first byte tests nothing.
  for (let changes = random.below(5); changes > 0; changes -= 1) bytes = change(bytes, seeds, random);
  return random.below(500) === 0 ? swell(bytes, random) : bytes;
}

/** What takes time or memory that grows with more than the length is only seen in what is long. */
const swollenBytes: readonly number[] = [4_000, 64_000, 64_000, 250_000];

/** One piece of it many times, at its place. */
function swell(bytes: Buffer, random: Random): Buffer {
  const at = random.below(bytes.byteLength + 1);
  const length = 1 + random.below(random.pick([1, 2, 8, 64, 400]));
  const piece = random.below(3) === 0 ? Buffer.from(random.pick(hostileTexts)) : bytes.subarray(at, at + length);
  const times = Math.ceil(random.pick(swollenBytes) / Math.max(1, piece.byteLength));
  const many = Array.from({ length: piece.byteLength === 0 ? 0 : times }, () => piece);
  return Buffer.concat([bytes.subarray(0, at), ...many, bytes.subarray(at)]);
}

function change(bytes: Buffer, seeds: readonly Buffer[], random: Random): Buffer {
  const kind = random.below(10);
  if (kind < 4) return changeJson(bytes, random) ?? changeText(bytes, random);
  if (kind < 7) return changeText(bytes, random);
  return changeBytes(bytes, seeds, random);
}

function changeBytes(bytes: Buffer, seeds: readonly Buffer[], random: Random): Buffer {
  const at = random.below(bytes.byteLength + 1);
  const length = 1 + random.below(Math.max(1, Math.min(64, bytes.byteLength)));
  switch (random.below(7)) {
    case 0: {
      const copy = Buffer.from(bytes);
      if (at < copy.byteLength) copy[at] = (copy[at] ?? 0) ^ (1 << random.below(8));
      return copy;
    }
    case 1: {
      const copy = Buffer.from(bytes);
      copy.fill(random.pick([0, 0xff, 0x20, 0x80, 0x7f]), at, Math.min(copy.byteLength, at + length));
      return copy;
    }
    case 2:
      return bytes.subarray(0, at);
    case 3:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
    case 4:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.max(0, at - length))]);
    case 5: {
      const copy = Buffer.from(bytes);
      if (at + 4 <= copy.byteLength) copy.writeUInt32LE(random.pick([0, 1, 0x7fffffff, 0x80000000, 0xffffffff]), at);
      return copy;
    }
    default: {
      const other = random.pick(seeds);
      return Buffer.concat([bytes.subarray(0, at), other.subarray(random.below(other.byteLength + 1))]);
    }
  }
}

function changeText(bytes: Buffer, random: Random): Buffer {
  const text = bytes.toString('latin1');
  const hostile = Buffer.from(random.pick(hostileTexts)).toString('latin1');
  const separator = random.pick(['\n', ' ', ',', ':', '"', '/', '=', '.']);
  const pieces = text.split(separator);
  const at = random.below(pieces.length);
  switch (random.below(5)) {
    case 0:
      pieces[at] = hostile;
      break;
    case 1:
      pieces.splice(at, 0, hostile);
      break;
    case 2:
      pieces.splice(at, 1);
      break;
    case 3:
      pieces.splice(at, 0, ...Array.from({ length: random.pick([1, 2, 100]) }, () => (pieces[at] ?? '').slice(0, 200)));
      break;
    default:
      pieces.splice(at, 0, ...pieces.splice(random.below(pieces.length), 1));
  }
  return Buffer.from(pieces.join(separator), 'latin1');
}

function changeJson(bytes: Buffer, random: Random): Buffer | undefined {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
  const changed = changeValue(value, random);
  const text = JSON.stringify(changed);
  // Duplicate keys, which no object can have.
  const duplicate =
    random.below(8) === 0
      ? text.replace(/\{("[^"]*"):/, `{$1:${JSON.stringify(random.pick(hostileValues))},$1:`)
      : text;
  return Buffer.from(random.below(6) === 0 ? JSON.stringify(JSON.parse(text), undefined, 1) : duplicate);
}

function changeValue(value: unknown, random: Random): unknown {
  if (typeof value !== 'object' || value === null || random.below(6) === 0) return random.pick(hostileValues);
  if (Array.isArray(value)) {
    const values: unknown[] = [...(value as unknown[])];
    const at = random.below(values.length + 1);
    switch (random.below(4)) {
      case 0:
        values.splice(at, 1);
        break;
      case 1:
        values.splice(at, 0, ...Array.from({ length: random.pick([1, 2, 100]) }, () => values[at] ?? null));
        break;
      default:
        values[at] = changeValue(values[at], random);
    }
    return values;
  }
  const entries = Object.entries(value);
  if (entries.length === 0) return { [random.pick(hostileTexts)]: random.pick(hostileValues) };
  const at = random.below(entries.length);
  const [key = '', member] = entries[at] ?? [];
  switch (random.below(5)) {
    case 0:
      entries.splice(at, 1);
      break;
    case 1:
      entries[at] = [random.pick(hostileTexts), member];
      break;
    case 2:
      entries.reverse();
      break;
    default:
      entries[at] = [key, changeValue(member, random)];
  }
  return Object.fromEntries(entries);
}
