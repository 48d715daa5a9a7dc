import { runProgram } from './run-program.ts';

/** What xorriso says of boot records and volume, without where the image is. */
export function bootReport(iso: string): string {
  const report = (...commands: string[]): string =>
    runProgram('xorriso', ['-no_rc', '-indev', iso, ...commands]).toString();
  return report('-report_el_torito', 'as_mkisofs')
    .replaceAll(iso, 'ISO')
    .replaceAll(/--interval:[^ \n]*/g, '--interval');
}
