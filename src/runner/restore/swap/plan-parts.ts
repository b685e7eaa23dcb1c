import { findBound, schedulerEnded } from '../../../postgres/bound-extension.ts';
import { extensionsOf } from '../plan/check-needs.ts';
import type { PreparedInput } from '../plan/prepare-input.ts';
import type { OpenTarget } from '../target/open-target.ts';
import type { LoadWanted } from '../wanted.ts';
import { chooseLikeness } from './choose-likeness.ts';
import type { NewDatabase } from './new-database.ts';

/** What is loaded beside its target. */
export interface BesidePart extends PreparedInput {
  readonly like: NewDatabase;
  /** It has an extension that takes no scratch database of any name. */
  readonly isBound: boolean;
  /** What a swap has to say. */
  readonly swapNotes: readonly string[];
}

/** What the new databases are to be like, before any is made. */
export async function planParts(
  inputs: readonly PreparedInput[],
  options: LoadWanted['options'],
  target: OpenTarget,
): Promise<readonly BesidePart[]> {
  const parts: BesidePart[] = [];
  for (const prepared of inputs) {
    const { plan, input, entries } = prepared;
    const like = await chooseLikeness(plan, input.facts, options, target);
    const home = await findBound(target.session, extensionsOf(entries));
    const swapNotes = home === plan.target && plan.existing !== undefined ? [schedulerEnded] : [];
    parts.push({ ...prepared, like, isBound: home !== undefined, swapNotes });
  }
  return parts;
}
