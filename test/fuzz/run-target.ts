import { EdgeBundleError } from '../../src/errors.ts';
import { ProtocolError } from '../../src/serve/protocol-error.ts';
import { processorTime } from '../support/processor-time.ts';
import { mutate } from './mutate.ts';
import { Random } from './random.ts';

/** A parser of outside data, with real inputs. */
export interface FuzzTarget {
  readonly name: string;
  readonly seeds: readonly Buffer[];
  /** Parses. It may return anything, and fail with a typed error. */
  readonly parse: (input: Buffer) => unknown;
  /** Whether a result says that the input is no good. Default: only errors say so. */
  readonly isRefusal?: ((result: unknown) => boolean) | undefined;
  /** It makes something of every input, and refuses none. Default: false. */
  readonly takesAll?: boolean | undefined;
}

export interface FuzzResult {
  readonly inputs: number;
  readonly accepted: number;
  /** Of processors. */
  readonly slowestMs: number;
  /** Of the whole process, with the programs that it has loaded. */
  readonly peakRssBytes: number;
  /** The numbers of the slowest and the longest inputs. */
  readonly heaviest: readonly number[];
}

export interface InputRange {
  /** The number of the first input: the same number is the same input. Default: 0. */
  readonly first?: number | undefined;
  readonly count: number;
}

const slowMs = 2_000;
const heaviestOfEach = 3;

/** Input `number` of a target. */
export function inputOf({ seeds }: FuzzTarget, number: number): Buffer {
  return mutate(seeds, new Random(number));
}

/** @throws Error with the input where it makes something else than a result or a typed error, or takes too long */
export async function runTarget(target: FuzzTarget, { first = 0, count }: InputRange): Promise<FuzzResult> {
  let accepted = 0;
  const [slowest, longest] = [new Heaviest(), new Heaviest()];
  for (let number = first; number < first + count; number += 1) {
    const input = inputOf(target, number);
    const spentMs = processorTime();
    if (await isAccepted(target, input, number)) accepted += 1;
    const tookMs = spentMs();
    if (tookMs > slowMs) throw failure(target, number, input, `took ${Math.round(tookMs)} ms`);
    slowest.add(number, tookMs);
    longest.add(number, input.byteLength);
  }
  return {
    inputs: count,
    accepted,
    slowestMs: slowest.most,
    peakRssBytes: process.resourceUsage().maxRSS * 1024,
    heaviest: [...new Set([...slowest.numbers, ...longest.numbers])],
  };
}

/** Why a run tells nothing of a parser; undefined where it does. Some inputs are the real ones, and many are none. */
export function weakness({ takesAll = false }: FuzzTarget, { inputs, accepted }: FuzzResult): string | undefined {
  const few = inputs * 0.02;
  const refused = inputs - accepted;
  if (accepted < few) return `only ${accepted} of ${inputs} inputs were accepted`;
  if (takesAll) return refused > 0 ? `${refused} inputs were refused by what takes all` : undefined;
  return refused < few ? `only ${refused} of ${inputs} inputs were refused` : undefined;
}

async function isAccepted(target: FuzzTarget, input: Buffer, number: number): Promise<boolean> {
  try {
    const result = await target.parse(input);
    return target.isRefusal?.(result) !== true;
  } catch (error) {
    const isTyped = error instanceof EdgeBundleError || error instanceof ProtocolError;
    if (!isTyped || error.message.startsWith('unexpected')) {
      throw failure(target, number, input, String(error), error);
    }
    return false;
  }
}

function failure({ name }: FuzzTarget, number: number, input: Buffer, what: string, cause?: unknown): Error {
  const shown = `${JSON.stringify(input.toString('latin1').slice(0, 300))} (${input.byteLength} bytes)`;
  return new Error(`${name}, input ${number}: ${what}\n${shown}`, { cause });
}

/** The few numbers with the largest values. */
class Heaviest {
  #entries: { readonly number: number; readonly value: number }[] = [];

  get most(): number {
    return this.#entries[0]?.value ?? 0;
  }

  get numbers(): readonly number[] {
    return this.#entries.map(({ number }) => number);
  }

  add(number: number, value: number): void {
    if (this.#entries.length === heaviestOfEach && value <= (this.#entries.at(-1)?.value ?? 0)) return;
    this.#entries.push({ number, value });
    this.#entries.sort((one, other) => other.value - one.value);
    this.#entries.length = Math.min(this.#entries.length, heaviestOfEach);
  }
}
