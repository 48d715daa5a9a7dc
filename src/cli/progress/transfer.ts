import { TransferTally } from '../../copy/transfer-tally.ts';
import { formatBytes } from '../../report/units.ts';

/** A tally that can be shown. */
export class Transfer extends TransferTally {
  /** `12.3 MB of 673 MB, 42.0 MB/s` */
  summary(): string {
    const { doneBytes, totalBytes, bytesPerSecond } = this;
    const total = totalBytes === undefined ? '' : ` of ${formatBytes(totalBytes)}`;
    return `${formatBytes(doneBytes)}${total}, ${formatBytes(bytesPerSecond)}/s`;
  }
}
