import type { FailureReason, Reason } from '../../src/api/reasons.ts';
import type { DatabaseServer } from './database-server.ts';
import type { FaultStand } from './fault-stand.ts';
import type { PlaceUse } from './places.ts';
import type { TcpProxy } from './tcp-proxy.ts';

export const faultRooms = ['database', 's3', 'sftp', 'fan-out', 'directory', 'lying', 'pod'] as const;

/** One row of the table: what is broken, and what the world has to look like afterwards. */
export interface FaultCase {
  /** A name of a policy: lower case, digits and dashes, at most 40. */
  readonly name: string;
  readonly room: (typeof faultRooms)[number];
  /** What a reader of docs/faults.md is told. */
  readonly fault: string;
  readonly arrange: (stand: FaultStand, name: string) => Promise<Arranged>;
  readonly expect: Expected;
  /** Dumps 336 MB: the fault comes in the middle of a long stream, or at its end. */
  readonly dump?: 'large';
  /** Mounts file systems. */
  readonly needsRoot?: boolean;
}

/** What a case brings along. The fault is in place once `arm` has resolved, not before. */
export interface Arranged {
  readonly places: readonly PlaceUse[];
  /** In front of the server of the databases. */
  readonly postgres: TcpProxy;
  readonly databases: readonly string[];
  /** The stand's if absent. */
  readonly server?: DatabaseServer;
  /** Its runners give up a place that takes nothing for ten seconds. */
  readonly impatient?: boolean;
  /** Secret with the login; the administrator's if absent. */
  readonly login?: string;
  readonly arm?: () => Promise<void>;
  /** Goes along with the run; `isOver` becomes true when the run has ended. */
  readonly during?: undefined | ((run: { readonly backup: string; readonly isOver: () => boolean }) => Promise<void>);
  readonly lift: () => Promise<void>;
  /** True when the fault has been met: a case whose fault never came is no case. */
  readonly met?: () => boolean | Promise<boolean>;
  readonly spec?: {
    readonly dump?: Readonly<Record<string, unknown>>;
    readonly databases?: Readonly<Record<string, unknown>>;
    readonly runner?: Readonly<Record<string, unknown>>;
    readonly compression?: Readonly<Record<string, unknown>>;
    readonly verification?: Readonly<Record<string, unknown>>;
    readonly maintenanceDatabase?: string;
  };
  /** More to look at after the run with the fault. */
  readonly afterwards?: () => Promise<void>;
}

export interface Expected {
  readonly succeeded: 'True' | 'False';
  readonly reason: Reason;
  /** By the order of the places; `Stored` or the reason. */
  readonly destinations: readonly ('Stored' | FailureReason)[];
  readonly stored?: readonly string[];
  /** Databases that failed, with their reasons; `_` stands for the case's own name with underscores. */
  readonly failed?: Readonly<Record<string, FailureReason>>;
  /**
   * Places (by order) where something without a manifest may stay: nobody could clean up there, because the runner was killed or the
   * place was gone. Everywhere else nothing may stay.
   */
  readonly remains?: readonly number[];
  /** Places (by order) that failed in the eyes of the run, but where its manifest stands: the answer was lost for good. */
  readonly unknown?: readonly number[];
}

export function phaseOf({ succeeded, reason }: Expected): 'Succeeded' | 'PartlyFailed' | 'Failed' {
  if (succeeded === 'True') return 'Succeeded';
  return reason === 'DestinationFailed' || reason === 'DatabaseFailed' ? 'PartlyFailed' : 'Failed';
}
