import type { Condition } from '../api/parts.ts';
import { stamp } from '../domain/stamp.ts';

export type ConditionStatus = Condition['status'];

export interface ConditionChange {
  readonly type: string;
  readonly status: ConditionStatus;
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration?: number;
}

/** The conditions with one of them set; lastTransitionTime moves only when its status does. */
export function setCondition(
  conditions: readonly Condition[] | undefined,
  change: ConditionChange,
  nowMs: number,
): Condition[] {
  const before = findCondition(conditions, change.type);
  const next: Condition = {
    ...change,
    message: cutText(change.message, 2048),
    lastTransitionTime:
      before !== undefined && before.status === change.status ? before.lastTransitionTime : stamp(nowMs),
  };
  const others = conditions ?? [];
  if (before === undefined) return [...others, next];
  return others.map((condition) => (condition.type === change.type ? next : condition));
}

export function findCondition(conditions: readonly Condition[] | undefined, type: string): Condition | undefined {
  return conditions?.find((condition) => condition.type === type);
}

/** A text of at most `max` characters; what was cut is marked, and no character is cut in two. */
export function cutText(text: string, max: number): string {
  return text.length <= max ? text : `${text.slice(0, max - 1).replace(/[\uD800-\uDBFF]$/, '')}…`;
}
