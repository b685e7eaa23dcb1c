import type { Condition } from '../../api/parts.ts';
import type { StateReason } from '../../api/reasons.ts';
import { stamp } from '../../domain/stamp.ts';
import type { ObjectSeen, TellAction } from '../action.ts';
import { findCondition, type ConditionChange } from '../conditions.ts';
import type { SlotsDecision } from './slots.ts';

/** Events about slots: what was missed, skipped and started. */
export function tellSlots(about: ObjectSeen, slots: SlotsDecision, created: StateReason): readonly TellAction[] {
  const tell = (level: TellAction['level'], reason: StateReason, message: string): TellAction => {
    return { type: 'tell', about, level, reason, message };
  };
  const told: TellAction[] = [];
  const others = slots.missed - (slots.tooLate === undefined ? 0 : 1) - (slots.skipped?.count ?? 0);
  if (others > 0) told.push(tell('Warning', 'SlotsMissed', `${others} slots passed without a run`));
  if (slots.tooLate !== undefined) {
    told.push(
      tell('Warning', 'SlotTooLate', `the slot of ${stamp(slots.tooLate)} could not start in time and is missed`),
    );
  }
  if (slots.skipped !== undefined) {
    const { slot, running, count } = slots.skipped;
    const which = count === 1 ? `the slot of ${stamp(slot)} is` : `${count} slots until that of ${stamp(slot)} are`;
    told.push(tell('Warning', 'RunSkipped', `${which} skipped: ${running} still goes on`));
  }
  if (slots.start !== undefined) {
    const { slot, name, replaces } = slots.start;
    if (replaces) told.push(tell('Normal', 'RunReplaced', `the run before ${name} is ended for it`));
    told.push(tell('Normal', created, `created ${name} for the slot of ${stamp(slot)}`));
  }
  return told;
}

/** What of its slots stands in a policy's Ready condition. */
export function remarkSlots({ ahead, waits }: SlotsDecision): readonly string[] {
  const waiting = waits && `the slot of ${stamp(waits.slot)} waits for the end of ${waits.running}`;
  return [ahead, waiting].filter((remark) => remark !== undefined);
}

/** Events about conditions that have changed for the worse; one where several did for the same reason. */
export function tellChanges(
  about: ObjectSeen,
  before: readonly Condition[] | undefined,
  changes: readonly ConditionChange[],
): readonly TellAction[] {
  return changes.flatMap((change, index): readonly TellAction[] => {
    if (changes.slice(0, index).some(({ reason }) => reason === change.reason)) return [];
    const was = findCondition(before, change.type);
    const isSame = was?.status === change.status && was.reason === change.reason;
    if (change.status !== 'False' || isSame) return [];
    return [{ type: 'tell', about, level: 'Warning', reason: change.reason, message: change.message }];
  });
}
