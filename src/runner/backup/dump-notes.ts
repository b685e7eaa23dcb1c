import type { Note } from '../../domain/note.ts';
import type { DatabaseDump, DumpSelection } from '../../postgres/dump.ts';
import { readWarnings } from '../../postgres/program-messages.ts';
import type { DatabaseSurvey } from '../../postgres/survey-database.ts';

/** What a dump that is whole has to say about itself. */
export function dumpNotes(dump: DatabaseDump, survey: DatabaseSurvey, selection: DumpSelection): readonly Note[] {
  return [
    ...largeObjectNotes(survey, selection),
    ...optionNotes(dump, survey),
    ...warningNotes(dump),
    ...unloggedNotes(survey),
    ...triggerNotes(survey),
    ...damageNotes(survey),
  ];
}

function largeObjectNotes(survey: DatabaseSurvey, { schemas, tables, largeObjects }: DumpSelection): readonly Note[] {
  const isNarrowed = (schemas ?? []).length + (tables ?? []).length > 0;
  if (!survey.largeObjects || !isNarrowed || largeObjects !== undefined) return [];
  const message =
    'only schemas or tables are dumped: its large objects are not in the backup (dump.largeObjects: true takes them)';
  return [{ reason: 'LargeObjectsLeftOut', message }];
}

function optionNotes(dump: DatabaseDump, { internalOptions }: DatabaseSurvey): readonly Note[] {
  const count = dump.optionsLeftOut();
  if (!internalOptions || count === 0) return [];
  if (count === undefined) {
    const message =
      'columns have internal options of their server, which may be in the archive: other servers refuse them';
    return [{ reason: 'OptionsLeftOut', message }];
  }
  return [
    { reason: 'OptionsLeftOut', message: 'internal options of columns (pg_attver) are not in the archive', count },
  ];
}

function warningNotes(dump: DatabaseDump): readonly Note[] {
  const warnings = readWarnings(dump.stderrTail());
  return warnings === undefined ? [] : [{ reason: 'DumpWarned', message: warnings.first, count: warnings.count }];
}

function unloggedNotes({ unreadableCount: count, unreadableTables }: DatabaseSurvey): readonly Note[] {
  if (count === 0) return [];
  const more = count > unreadableTables.length ? ` and ${count - unreadableTables.length} more` : '';
  const message = `the server is a standby: rows of unlogged tables are not in the backup (${unreadableTables.join(', ')}${more})`;
  return [{ reason: 'UnloggedTablesEmpty', message, count }];
}

function triggerNotes({ loginTriggers }: DatabaseSurvey): readonly Note[] {
  if (loginTriggers.length === 0) return [];
  const message = `event triggers ran when the backup logged in (${loginTriggers.join(', ')}): set event_triggers = off for its role`;
  return [{ reason: 'EventTriggersActive', message, count: loginTriggers.length }];
}

function damageNotes({ hidesDamage }: DatabaseSurvey): readonly Note[] {
  if (hidesDamage.length === 0) return [];
  const message = `the server passes over damaged pages (${hidesDamage.join(', ')}): rows on them would be missing without an error`;
  return [{ reason: 'DamageHidden', message, count: hidesDamage.length }];
}

/** Facts that could not be read; the dump does not need them. */
export function factNotes(missing: readonly string[]): readonly Note[] {
  return missing.length === 0
    ? []
    : [{ reason: 'FactsMissing', message: missing.join('; ').slice(0, 1000), count: missing.length }];
}
