import { formatBytes, formatRate } from '../../domain/format.ts';
import type { ProgressLine } from '../../domain/report.ts';

/** What a status tells of how far a run is (api/parts.ts, progressShape). */
export function tellProgress(line: ProgressLine) {
  const { plainBytes, estimatedBytes, bytesPerSecond, database, databasesDone, databasesTotal } = line;
  const numbers = { plainBytes, estimatedBytes, bytesPerSecond, database, databasesDone, databasesTotal };
  return { ...numbers, summary: summarize(line) };
}

/** `42% of 1.30 GB, 18.2 MB/s`; where there is no estimate, or it was too small: `1.30 GB, 18.2 MB/s`. */
export function summarize(line: Pick<ProgressLine, 'plainBytes' | 'estimatedBytes' | 'bytesPerSecond'>): string {
  const { plainBytes, estimatedBytes = 0, bytesPerSecond } = line;
  const share = plainBytes < estimatedBytes ? Math.floor((100 * plainBytes) / estimatedBytes) : undefined;
  const done = share === undefined ? formatBytes(plainBytes) : `${share}% of ${formatBytes(estimatedBytes)}`;
  return `${done}, ${formatRate(bytesPerSecond, 1)} MB/s`;
}
