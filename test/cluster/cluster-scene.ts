import type { BackupDiary } from './backup-diary.ts';
import type { ClusterStand } from './cluster-stand.ts';
import type { ClusterUser } from './cluster-user.ts';

/** What the cases of one file share; the operator is installed. */
export interface ClusterScene {
  readonly stand: ClusterStand;
  readonly user: ClusterUser;
  readonly diary: BackupDiary;
  /** How long something took, for the list at the end. */
  readonly note: (what: string, seconds: number) => void;
}

/** Known when tests run, not yet when they are listed. */
export type Scene = () => ClusterScene;
