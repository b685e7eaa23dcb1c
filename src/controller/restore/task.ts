import { annotations, type Backup, type RestoreRequest } from '../../api/kinds.ts';
import { taskVersion, type CleanupTask, type RestoreTask, type RestoreTaskTarget } from '../../domain/task.ts';
import { taskIdentity } from '../backup/task-keys.ts';
import { taskLocation, taskServer, waitForSecretSeconds, type Claims } from '../backup/task.ts';
import type { ResolvedSource } from './resolve-source.ts';

type Found = Extract<ResolvedSource, { readonly state: 'found' }>;

/** What the runner of a RestoreRequest is told. */
export function buildRestoreTask(
  request: RestoreRequest,
  source: Found,
  claims: Claims,
  settleSeconds: number,
): RestoreTask {
  const { metadata, spec } = request;
  const { select, options } = spec;
  return {
    version: taskVersion,
    kind: 'restore',
    namespace: metadata.namespace,
    request: { name: metadata.name, uid: metadata.uid },
    source: describeSource(request, source, claims),
    target: describeTarget(request),
    mode: spec.mode,
    keepPrevious: spec.keepPrevious,
    clean: spec.mode === 'InPlace' && spec.inPlace.clean && spec.inPlace.acknowledgeDataLoss,
    ...(spec.inPlace.dropOthers ? { dropOthers: true } : {}),
    select: {
      schemas: select.schemas,
      tables: select.tables,
      excludeSchemas: select.excludeSchemas,
      excludeTables: select.excludeTables,
      excludeTableData: select.excludeTableData,
      schemaOnly: select.schemaOnly,
      dataOnly: select.dataOnly,
    },
    options: {
      jobs: options.jobs,
      maintenanceWorkMem: options.maintenanceWorkMem,
      synchronousCommit: options.synchronousCommit,
      noOwner: options.noOwner,
      noPrivileges: options.noPrivileges,
      ...(options.without === undefined ? {} : { without: options.without }),
      ...(options.onError === 'Stop' ? {} : { onError: options.onError }),
      ...(options.searchPath === undefined ? {} : { searchPath: options.searchPath }),
      role: options.role,
      globals: options.globals,
      ...(options.privilegedGlobals ? { privilegedGlobals: true } : {}),
      analyze: options.analyze,
    },
    ...(spec.beforeSql === undefined ? {} : { beforeSql: spec.beforeSql }),
    afterSql: spec.afterSql ?? [],
    checks: (spec.checks ?? []).map(({ database, sql, operator, value }) => ({ database, sql, operator, value })),
    unlessRestored: spec.unlessRestored,
    waitForServerSeconds: spec.runner.waitForServerSeconds,
    waitForSecretSeconds,
    settleSeconds,
  };
}

/** What the runner is told that clears up after it. */
export function buildCleanupTask(request: RestoreRequest): CleanupTask {
  const { metadata, spec } = request;
  return {
    version: taskVersion,
    kind: 'cleanup',
    namespace: metadata.namespace,
    request: { name: metadata.name, uid: metadata.uid },
    target: describeTarget(request),
    keepPrevious: spec.keepPrevious,
    waitForServerSeconds: spec.runner.waitForServerSeconds,
    waitForSecretSeconds,
  };
}

/** The uid that a backup's manifest has: a found one's object has another. */
export function manifestUidOf({ metadata, spec }: Backup): string | undefined {
  return spec.import === undefined ? metadata.uid : metadata.annotations?.[annotations.foundUid];
}

function describeSource({ spec }: RestoreRequest, source: Found, claims: Claims): RestoreTask['source'] {
  if ('file' in source) {
    const { key, pattern, member, foreign } = spec.source.file ?? {};
    const also = foreign === true ? { foreign } : {};
    return { file: { location: taskLocation(source.file, claims), key, pattern, member, ...also } };
  }
  const { backup, copies } = source;
  const { identities, signedBy } = spec.source;
  return {
    ...(identities === undefined ? {} : { identities: identities.map(taskIdentity) }),
    ...(signedBy === undefined ? {} : { signedBy }),
    backup: {
      name: backup.metadata.name,
      uid: manifestUidOf(backup),
      copies: copies.map(({ copy, location }) => ({
        location: taskLocation(location, claims),
        manifestKey: copy.manifestKey,
        manifestSha256: copy.manifestSha256,
      })),
    },
  };
}

function describeTarget({ spec }: RestoreRequest): RestoreTaskTarget {
  const { postgres, database, databases } = spec.target;
  const single = database === undefined ? [] : [{ source: spec.source.database, target: database }];
  return {
    server: taskServer(postgres),
    databases: databases?.map(({ source, target }) => ({ source, target })) ?? single,
  };
}
