import type { TaskLocation } from '../domain/task.ts';
import type { ProxySettings } from '../storage/place.ts';
import type { Storage } from '../storage/storage.ts';
import type { Clock, Random } from '../support/clock.ts';
import type { Log } from '../support/log.ts';
import type { Redactor } from '../support/redaction.ts';
import type { Cipher } from './backup/cipher.ts';
import type { Pace } from './backup/pace.ts';
import type { ReportLines } from './report-lines.ts';
import type { Secrets } from './secrets.ts';

/** What every task works with. */
export interface Workshop {
  /** Folder with task, secrets and volumes. */
  readonly root: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly lines: ReportLines;
  readonly redactor: Redactor;
  readonly secrets: Secrets;
  /** Folders with PostgreSQL's client programs, one major each. */
  readonly programDirs: readonly string[];
  /** Version of this program, for manifests. */
  readonly version: string;
  /** The pod's try, 8 hex digits. */
  readonly attempt: string;
  /** A place that takes no byte for this long is given up; one that is best-effort sooner. */
  readonly stallMilliseconds: number;
  /** Of a dump with a deadline: which places are too slow for it. */
  readonly pace?: Pace;
  /** Of a dump whose artifacts are encrypted. */
  readonly cipher?: Cipher;
  /** Of a dump whose manifest is signed: the public key (PEM) that it is signed by. */
  readonly signedBy?: readonly string[];
  /** Of a dump: places whose disk syncs at this moment, with the monotonic time since when. */
  readonly syncing?: Map<string, number>;
  readonly signal: AbortSignal;
  /** HTTP proxy of the environment. */
  readonly proxy?: ProxySettings;
  /**
   * Opens a place with its secrets; what is asked of it is never waited for without a limit (limitStorage). The signal is the run's if
   * absent. @throws Failure SecretMissing, SecretInvalid, TaskInvalid and those of the driver
   */
  readonly openLocation: (location: TaskLocation, signal?: AbortSignal) => Promise<Storage>;
  /** Has this done when the verdict was written: what tidies may hang. It gets a limited time. */
  readonly afterVerdict: (work: () => Promise<void>) => void;
}
