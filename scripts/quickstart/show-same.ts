import { findDifferences, type TableDigest } from './compare-databases.ts';
import { grouped, type Screen } from './screen.ts';

/** A line for each table that is the same in both. @throws Error that names those that differ */
export function showSame(source: readonly TableDigest[], restored: readonly TableDigest[], screen: Screen): void {
  const differences = findDifferences(source, restored);
  if (differences.length > 0 || source.length === 0) {
    throw new Error(`what was restored differs in: ${differences.join(', ')}`);
  }
  const width = Math.max(...source.map((table) => table.name.length));
  for (const table of source) {
    screen.ok(
      `  ${table.name.padEnd(width)}  ${grouped(table.rows).padStart(9)} rows  ${screen.dim(`checksum ${table.checksum}`)}  same`,
    );
  }
}
