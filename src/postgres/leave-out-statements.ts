import type { LeavableKind } from '../api/restore-options.ts';
import type { SqlStatement } from '../pipeline/sql-script.ts';
import { tellLeftOut } from './leave-out-entries.ts';

const byObject: Readonly<Record<string, LeavableKind | undefined>> = {
  publication: 'publications',
  subscription: 'subscriptions',
  event: 'eventTriggers',
  extension: 'extensions',
  policy: 'policies',
};
const longest = 1024;
const rowSecurity = /^ALTER\s+TABLE\s[^;]*\s(?:ENABLE|DISABLE|FORCE)\s+ROW\s+LEVEL\s+SECURITY\s*;?\s*$/i;

export interface LeavingOut {
  /** Whether a statement of a script is left out; counted. */
  readonly judge: (statement: SqlStatement) => boolean;
  readonly notes: () => readonly string[];
}

/** Leaves out statements of a script by what they are about. */
export function leaveOutStatements(without: readonly LeavableKind[]): LeavingOut {
  const counts = new Map<LeavableKind, number>();
  return {
    judge(statement) {
      const kind = kindsOf(statement).find((each) => without.includes(each));
      if (kind !== undefined) counts.set(kind, (counts.get(kind) ?? 0) + 1);
      return kind !== undefined;
    },
    notes: () => (counts.size === 0 ? [] : [tellLeftOut(counts)]),
  };
}

function kindsOf({ words: [first = '', second = '', third = ''], text, bytes }: SqlStatement): readonly LeavableKind[] {
  if (first === 'comment' && second === 'on') return ['comments', ...[byObject[third] ?? []].flat()];
  if (first === 'security' && second === 'label') return ['securityLabels'];
  if (!['create', 'alter', 'drop'].includes(first)) return [];
  if (first === 'alter' && second === 'table') {
    const isSecurity = bytes <= longest && rowSecurity.test(Buffer.concat(text).toString('latin1'));
    return isSecurity ? ['policies'] : [];
  }
  return [byObject[second] ?? []].flat();
}
