import { runProgram } from './run-program.ts';

/**
 * What xorriso says of boot records and volume, without where the image is; and without the geometry of disks, which it concludes
 * from the MBR where the image is small enough for that: up to 1 GB with 64 heads and 32 sectors.
 */
export function bootReport(iso: string): string {
  const report = (...commands: string[]): string =>
    runProgram('xorriso', ['-no_rc', '-indev', iso, ...commands]).toString();
  return report('-report_el_torito', 'as_mkisofs')
    .replaceAll(iso, 'ISO')
    .replaceAll(/--interval:[^ \n]*/g, '--interval')
    .replaceAll(/^-partition_(?:hd_cyl|sec_hd) .*\n/gm, '');
}
