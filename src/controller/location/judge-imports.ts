import type { Backup } from '../../api/kinds.ts';
import { readStamp } from '../../domain/stamp.ts';
import type { Action } from '../action.ts';
import { finishSilently } from '../backup/finish.ts';
import { resources } from '../resources.ts';
import { resultOf } from '../run/outcome.ts';
import type { CataloguePage } from './catalogue-page.ts';

/**
 * Imports that wait for a manifest which a page that was begun later does not have, or cannot read: they fail. When the manifest
 * appears after all, the catalogue that finds it corrects them.
 */
export function judgeImports(imports: readonly Backup[], page: CataloguePage, nowMs: number): readonly Action[] {
  return imports.flatMap((backup): readonly Action[] => {
    const { location = '', key = '' } = backup.spec.import ?? {};
    const createdAt = readStamp(backup.metadata.creationTimestamp) ?? nowMs;
    const isOfPage = key > page.after && (page.last === undefined || key <= page.last);
    if (resultOf(backup) !== undefined || createdAt > page.startedAt || !isOfPage) return [];
    const damage = page.damageOf(key);
    if (damage === undefined && page.has(key)) return [];
    const reason = damage === undefined ? 'BackupMissing' : 'ManifestInvalid';
    const message =
      damage === undefined
        ? `there is no manifest ${key} in ${location}`
        : `the manifest ${key} in ${location} cannot be read: ${damage}`;
    const status = finishSilently(backup, reason, message, nowMs);
    return [
      { type: 'set-status', resource: resources.backup, object: backup, status },
      { type: 'tell', about: backup, level: 'Warning', reason, message },
    ];
  });
}
