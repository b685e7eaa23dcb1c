import type { RepairStatus } from '../../api/repair.ts';
import type { PlaceSeen, UpkeepKind, UpkeepSeen } from '../upkeep/observe-places.ts';
import { copyName } from './job.ts';
import { repairTargets, type RepairTarget } from './targets.ts';

export type RepairPlace = PlaceSeen<RepairTarget, RepairStatus>;
/** All that the plan of a policy's repair looks at. */
export type RepairSeen = UpkeepSeen<RepairTarget, RepairStatus>;

export const repairUpkeep: UpkeepKind<RepairTarget, RepairStatus> = {
  task: 'copy',
  rulesOf: ({ spec }) => repairTargets(spec),
  entriesOf: ({ status }) => status?.repairs,
  jobNameOf: copyName,
};
