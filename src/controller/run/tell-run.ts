import type { Action, ObjectSeen } from '../action.ts';
import { hasEnded, type PodSeen } from './pods.ts';

interface Told {
  readonly startedAt?: string | undefined;
  readonly failedTries?: number | undefined;
}

/** Tries that have ended, of a run that goes on. Pods may be gone by now, so what was counted stays. */
export function countTries(before: Told | undefined, pods: readonly PodSeen[]): number | undefined {
  return Math.max(before?.failedTries ?? 0, pods.filter(hasEnded).length) || undefined;
}

/** The story of a run that goes on, in a few events: it has started, and it is tried again. */
export function tellRun(about: ObjectSeen, before: Told | undefined, now: Told, message: string): readonly Action[] {
  const tells: Action[] = [];
  if (now.startedAt !== undefined && before?.startedAt === undefined) {
    tells.push({ type: 'tell', about, level: 'Normal', reason: 'RunStarted', message });
  }
  if ((now.failedTries ?? 0) > (before?.failedTries ?? 0)) {
    const text = `try ${now.failedTries ?? 0} has failed, and another follows: ${message}`;
    tells.push({ type: 'tell', about, level: 'Warning', reason: 'RunRetried', message: text });
  }
  return tells;
}
