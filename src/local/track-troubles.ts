import type { BackupLocation, BackupPolicy, RestorePolicy } from '../api/kinds.ts';
import { stripControls } from './progress.ts';

type Judged = BackupLocation | BackupPolicy | RestorePolicy;

const mainCondition = { BackupLocation: 'Available', BackupPolicy: 'Ready', RestorePolicy: 'Ready' } as const;
const word = { BackupLocation: 'location', BackupPolicy: 'policy', RestorePolicy: 'restore policy' } as const;

/** Lines about locations and policies that cannot be used, each once, and about those that can again. */
export function trackTroubles(): (objects: readonly Judged[]) => readonly string[] {
  const troubles = new Map<string, string>();
  return (objects) =>
    objects.flatMap((object) => {
      const { uid, namespace, name } = object.metadata;
      const condition = object.status?.conditions?.find(({ type }) => type === mainCondition[object.kind]);
      if (condition === undefined || condition.status === 'Unknown') return [];
      const label = `${word[object.kind]} ${namespace === 'default' ? name : `${namespace}/${name}`}`;
      const before = troubles.get(uid);
      if (condition.status === 'True') {
        return troubles.delete(uid) ? [`${label}  in order again`] : [];
      }
      // Numbers in a message (attempts, seconds) are no news.
      const trouble = `${condition.reason} ${condition.message.replaceAll(/\d+/g, '#')}`;
      if (trouble === before) return [];
      troubles.set(uid, trouble);
      return [`${label}  ${condition.reason}: ${stripControls(condition.message)}`];
    });
}
