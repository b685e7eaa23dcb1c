import { leftOut, type LeftOut } from './sql-rules.ts';

export interface LeftOutCounts {
  add(kind: LeftOut): void;
  /** One sentence for each kind that occurred. */
  notes(): readonly string[];
}

export function countLeftOut(): LeftOutCounts {
  const counts = new Map<LeftOut, number>();
  return {
    add(kind) {
      counts.set(kind, (counts.get(kind) ?? 0) + 1);
    },
    notes: () =>
      [...counts].map(
        ([kind, count]) => `${count} ${count === 1 ? 'statement' : 'statements'} ${leftOut[kind]} left out`,
      ),
  };
}
