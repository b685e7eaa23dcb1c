import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { apiVersion, finalizer, restoreRequestKind, type RestoreRequest } from '../api/kinds.ts';
import { validateObject } from '../api/validate.ts';
import type { ObjectChange } from '../kube/object-cache.ts';

/** RestoreRequests that are going on, as files: what an operator that is killed leaves on a server must not be forgotten. */
export interface RestoreRecords {
  /** Those whose operator was killed, as they were. */
  readonly left: readonly RestoreRequest[];
  /** Follows one: it is kept from before its Job is made until the controller holds it no longer. */
  note(change: ObjectChange): void;
  /** For one whose end is known otherwise. */
  forget(uid: string): void;
}

/** Synchronous, so that a record is there before anything else happens to its object. No record holds a secret. */
export function openRestoreRecords(folder: string): RestoreRecords {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const left = readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .flatMap((name) => readRecord(join(folder, name)));
  const forget = (uid: string): void => rmSync(join(folder, `${uid}.json`), { force: true });
  return {
    left,
    note: ({ object, previous }) => {
      const { uid = '', finalizers = [] } = (object ?? previous)?.metadata ?? {};
      if (object === undefined || !finalizers.includes(finalizer)) {
        if (previous?.metadata.finalizers?.includes(finalizer) ?? false) forget(uid);
        return;
      }
      const path = join(folder, `${uid}.json`);
      // Whole or not at all: a record may be written while somebody pulls the plug.
      writeFileSync(`${path}.new`, JSON.stringify(object), { mode: 0o600 });
      renameSync(`${path}.new`, path);
    },
    forget,
  };
}

/** A record of a version that cannot be understood any more stays where it is. */
function readRecord(path: string): readonly RestoreRequest[] {
  try {
    const written = JSON.parse(readFileSync(path, 'utf8')) as RestoreRequest;
    // Earlier versions called the same v1.
    const object = { ...written, apiVersion } as RestoreRequest;
    return 'errors' in validateObject(restoreRequestKind, object, undefined) ? [] : [object];
  } catch {
    return [];
  }
}
