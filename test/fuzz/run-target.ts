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
  parse(input: Buffer): unknown;
  /** Of the inputs that others get, this one gets one in so many: each takes files or sockets. Default: 1. */
  readonly share?: number;
}

export interface FuzzResult {
  readonly inputs: number;
  readonly accepted: number;
  /** Of processors. */
  readonly slowestMs: number;
  readonly peakRssBytes: number;
}

const slowMs = 2_000;

/** @throws Error with the input where it makes something else than a result or a typed error, or takes too long */
export async function runTarget(target: FuzzTarget, inputs: number): Promise<FuzzResult> {
  const { name, seeds, share = 1 } = target;
  const count = Math.ceil(inputs / share);
  let [accepted, slowestMs, peakRssBytes] = [0, 0, 0];
  for (let number = 0; number < count; number += 1) {
    const input = mutate(seeds, new Random(number));
    const spentMs = processorTime();
    try {
      await target.parse(input);
      accepted += 1;
    } catch (error) {
      if (!(error instanceof EdgeBundleError) && !(error instanceof ProtocolError)) {
        throw new Error(`${name}, input ${number}: ${String(error)}\n${shown(input)}`, { cause: error });
      }
      if (error.message.startsWith('unexpected')) throw new Error(`${name}, input ${number}: ${error.message}`);
    }
    const tookMs = spentMs();
    slowestMs = Math.max(slowestMs, tookMs);
    if (tookMs > slowMs) throw new Error(`${name}, input ${number} took ${Math.round(tookMs)} ms\n${shown(input)}`);
    if (number % 64 === 0) peakRssBytes = Math.max(peakRssBytes, process.memoryUsage.rss());
  }
  return { inputs: count, accepted, slowestMs, peakRssBytes };
}

function shown(input: Buffer): string {
  return `${JSON.stringify(input.toString('latin1').slice(0, 300))} (${input.byteLength} bytes)`;
}
