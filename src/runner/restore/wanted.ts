import type { RestoreTask, RestoreTaskTarget, TaskIdentity } from '../../domain/task.ts';

/** The request that everything is done for: its uid makes names of databases, and the key of the seals. */
export interface RequestWanted {
  readonly uid: string;
}

/** The server, and the databases there that are to hold what is restored. */
export interface TargetWanted {
  readonly request: RequestWanted;
  readonly server: RestoreTaskTarget['server'];
  readonly databases: RestoreTaskTarget['databases'];
  readonly waitForServerSeconds: number;
}

export type BackupWanted = NonNullable<RestoreTask['source']['backup']>;
export type FileWanted = NonNullable<RestoreTask['source']['file']>;

/** What is restored: a backup, or else a file. */
export interface SourceWanted {
  readonly namespace: string;
  readonly backup: BackupWanted | undefined;
  readonly file: FileWanted | undefined;
  /** What opens an encrypted backup. */
  readonly identities: readonly TaskIdentity[];
  /** Who must have signed the manifest, besides those of its location. */
  readonly signedBy: readonly string[] | undefined;
  readonly databases: RestoreTaskTarget['databases'];
  readonly unlessRestored: RestoreTask['unlessRestored'];
  readonly waitForServerSeconds: number;
  /** Between the two looks at a file. */
  readonly settleSeconds: number;
}

/** What of the source is loaded, and how. */
export interface LoadWanted {
  readonly mode: RestoreTask['mode'];
  /** An archive of ours, and not somebody's file. */
  readonly isBackup: boolean;
  readonly select: RestoreTask['select'];
  readonly options: Omit<RestoreTask['options'], 'analyze'>;
  readonly clean: boolean;
  /** With clean: also what hangs on what is dropped and does not come back. */
  readonly dropOthers: boolean;
  /** Before anything is loaded. */
  readonly beforeSql: readonly string[] | undefined;
}

export type Check = RestoreTask['checks'][number];

/** What a database must stand after it is loaded, before anybody sees it. */
export interface ProofWanted {
  readonly afterSql: readonly string[];
  readonly analyze: boolean;
  /** Each names its database, unless there are several targets and it names none. */
  readonly checks: readonly Check[];
}

/** A task, taken apart: each step of a restore is given what it needs, and no more. */
export interface Wanted {
  readonly request: RequestWanted;
  readonly target: TargetWanted;
  readonly source: SourceWanted;
  readonly load: LoadWanted;
  readonly proof: ProofWanted;
  readonly keepPrevious: boolean;
}

export function takeApart(task: RestoreTask): Wanted {
  const { request, namespace, source, mode, select, clean, unlessRestored } = task;
  const { waitForServerSeconds, settleSeconds, afterSql, keepPrevious } = task;
  const { server, databases } = task.target;
  const { analyze, ...options } = task.options;
  const only = databases.length === 1 ? databases[0]?.target : undefined;
  return {
    request,
    target: { request, server, databases, waitForServerSeconds },
    source: {
      namespace,
      backup: source.backup,
      file: source.file,
      identities: source.identities ?? [],
      signedBy: source.signedBy,
      databases,
      unlessRestored,
      waitForServerSeconds,
      settleSeconds,
    },
    load: {
      mode,
      isBackup: source.backup !== undefined,
      select,
      options,
      clean,
      dropOthers: task.dropOthers ?? false,
      beforeSql: task.beforeSql,
    },
    proof: {
      afterSql,
      analyze,
      checks: task.checks.map((check) => ({ ...check, database: check.database ?? only })),
    },
    keepPrevious,
  };
}
