import type { Note } from '../../domain/note.ts';
import type { DatabaseDump } from '../../postgres/dump.ts';
import { readWarnings } from '../../postgres/program-messages.ts';
import type { DatabaseSurvey } from '../../postgres/survey-database.ts';

/** What a dump that is whole has to say about itself. */
export function dumpNotes(dump: DatabaseDump, survey: DatabaseSurvey): readonly Note[] {
  return [...optionNotes(dump, survey), ...warningNotes(dump), ...unloggedNotes(survey)];
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
