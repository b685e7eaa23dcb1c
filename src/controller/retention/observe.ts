import type { RetentionSpec, RetentionStatus } from '../../api/retention.ts';
import type { PlaceSeen, UpkeepKind, UpkeepSeen } from '../upkeep/observe-places.ts';
import { pruneName } from './job.ts';
import { retentionRules } from './rules.ts';

/** A destination that has a rule. */
export type RetentionPlace = PlaceSeen<RetentionSpec, RetentionStatus>;
/** All that the plan of a policy's retention looks at. */
export type RetentionSeen = UpkeepSeen<RetentionSpec, RetentionStatus>;

export const retentionUpkeep: UpkeepKind<RetentionSpec, RetentionStatus> = {
  task: 'prune',
  rulesOf: ({ spec }) => retentionRules(spec),
  entriesOf: ({ status }) => status?.prunes,
  jobNameOf: pruneName,
};
