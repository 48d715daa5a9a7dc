import type { FirstBootStatus } from './first-boot-status.ts';
import { formatTable } from './table.ts';
import { formatBytes } from './units.ts';

/** What `first-boot` tells people at its end: a line for each bundle. */
export function formatFirstBoot({ bundles }: Pick<FirstBootStatus, 'bundles'>): string {
  if (bundles.length === 0) return 'everything was loaded before\n';
  return formatTable(
    ['state', 'bundle', 'name', 'images', 'size', 'path'],
    bundles.map(({ state, id = '', name = '', images, totalBytes, path }) => [
      state,
      id,
      name,
      String(images),
      formatBytes(totalBytes),
      path,
    ]),
  );
}
