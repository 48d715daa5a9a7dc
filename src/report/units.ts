const byteUnits = ['kB', 'MB', 'GB', 'TB', 'PB'] as const;

/** A size in bytes for people, in powers of 1000: `999 B`, `1.5 kB`, `673 MB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  let value = bytes / 1000;
  for (const unit of byteUnits) {
    const text = value < 99.95 ? value.toFixed(1) : value.toFixed(0);
    if (Number(text) < 1000 || unit === 'PB') return `${text} ${unit}`;
    value /= 1000;
  }
  return `${bytes} B`;
}

/** A duration in milliseconds for people: `850 ms`, `2.7 s`, `1 min 05 s`, `2 h 03 min`. */
export function formatDuration(durationMs: number): string {
  if (Math.round(durationMs) < 1000) return `${Math.round(durationMs)} ms`;
  if (durationMs < 59_950) return `${(durationMs / 1000).toFixed(1)} s`;
  const seconds = Math.round(durationMs / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${twoDigits(seconds % 60)} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${twoDigits(minutes % 60)} min`;
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0');
}

/** `1 image`, `2 images`. */
export function countOf(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
