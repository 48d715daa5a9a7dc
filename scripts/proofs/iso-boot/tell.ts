import { edgeBundle } from '../../../test/support/edge-bundle.ts';

const began = performance.now();

export function say(text: string): void {
  const seconds = Math.round((performance.now() - began) / 1000);
  console.log(`[${String(seconds).padStart(4)} s] ${text}`);
}

/** @throws Error where the condition does not hold */
export function ensure(condition: boolean, what: string): void {
  if (!condition) throw new Error(`not so: ${what}`);
  say(`  yes: ${what}`);
}

/** Runs edge-bundle to its end. @returns its stdout. @throws Error with its stderr where it fails */
export async function run(...args: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await edgeBundle(args);
  if (exitCode !== 0) throw new Error(`edge-bundle ${args.join(' ')}: exit code ${exitCode}\n${stderr}`);
  return stdout;
}
