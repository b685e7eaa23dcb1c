import { faultRooms, type Expected, type FaultCase } from './fault-case.ts';
import type { HangCase } from './hangs.ts';
import type { FieldReport } from './reports.ts';

const titles = {
  database: 'Database',
  s3: 'S3',
  sftp: 'SFTP',
  'fan-out': 'Several places at once',
  directory: 'Directory',
  lying: 'Places that lie',
  pod: 'Pod',
} as const;

/** docs/faults.md: every case of the table, and how a run with it ends; and which test keeps mended what people reported. */
export function printFaultsPage(
  table: readonly FaultCase[],
  hangs: readonly HangCase[],
  reports: readonly FieldReport[],
): string {
  const head = [
    '# Faults',
    '',
    `${table.length} faults, each met by a whole run: policy, Backup, Job, runner, real PostgreSQL, real S3 server, real sshd. For each of`,
    'them `test/faults` asserts that',
    '',
    '- the run ends with the condition, phase and reasons below, and metrics tell the same;',
    '- a place that failed holds no manifest and nothing else of the run: no volumes, no temporary files, no unfinished uploads',
    '  (but for those marked *remains*, where nobody could clean up any more: what lies there has no manifest);',
    '- what lies under a committed manifest has the hashes that the manifest says, and the same SQL as the database;',
    '- earlier backups at the same places are left alone;',
    '- once the fault is over, the next run succeeds at every place.',
    '',
    'Dumps have 1 to 33 MB; those of the cases marked *long* have 336 MB of random bytes: there the fault comes in the middle of the',
    'stream, or at its very end.',
    '',
    'The cases of the database are tried twice: over plain connections, and over TLS.',
    '',
    'This page is printed from the table: `vitest run --project unit test/faults -u`.',
    '',
  ];
  const parts = faultRooms.flatMap((room) => [
    `## ${titles[room]}`,
    '',
    '| Case | Fault | The run ends |',
    '|---|---|---|',
    ...table
      .filter((one) => one.room === room)
      .map(
        ({ name, fault, dump, expect }) =>
          `| ${name} | ${fault}${dump === 'large' ? ' (*long*)' : ''} | ${describeEnd(expect)} |`,
      ),
    '',
  ]);
  const hanging = [
    '## Places that hang',
    '',
    'From some call on nothing is answered any more, and no abort is heard. One test for each call; in each of them the',
    'verdict comes by itself; most of the tests have shorter limits than a real run ([hanging](design/hanging.md)).',
    '',
    '| Where | It hangs at | The run ends | Test |',
    '|---|---|---|---|',
    ...hangs.map(
      ({ where, calls, ends, file, title }) =>
        `| ${where} | ${calls.join(', ')} | ${ends} | \`test/${file}\`: ${title} |`,
    ),
    '',
  ];
  const deaths = [
    '## Restores that die',
    '',
    'At each statement of a restore, in each mode, the runner dies, is asked to stop (SIGTERM), or loses the connection, before the server heard',
    'the statement or with its answer; a client writes into the target at once; then the restore is tried again. Rows are there once, what was written after the swap (or into a database that is restored in',
    'place) stays, nothing is left beside the target, and who lives on tells the truth ([how](design/known-end.md),',
    '`test/faults/restore-deaths.real.test.ts`, which takes the last ten statements, where the end becomes known, and one of twelve before them;',
    '`PGBACKUP_EVERY_STATEMENT=1` takes all). A death is a connection that is cut, and none that is let through afterwards.',
    '',
  ];
  const field = [
    '## Reports from the field',
    '',
    'Inputs that people met in this job, with this program or another. Each stands for its kind; the test beside it keeps it mended.',
    '',
    '| Report | What was met | Test |',
    '|---|---|---|',
    ...reports.map(({ id, report, file, title }) => `| ${id} | ${report} | \`test/${file}\`: ${title} |`),
    '',
  ];
  return [...head, ...parts, ...hanging, ...deaths, ...field].join('\n');
}

function describeEnd({ reason, destinations, failed = {}, remains = [], unknown = [] }: Expected): string {
  const lost = destinations.filter((outcome) => outcome !== 'Stored' && outcome !== reason);
  const inside = [...new Set([...lost, ...Object.values(failed).filter((one) => one !== reason)])];
  const notes = [
    ...(remains.length === 0 ? [] : ['*remains*']),
    ...(unknown.length === 0 ? [] : ['the manifest stands although nobody could read it back']),
  ];
  return [`${reason}${inside.length === 0 ? '' : ` (${inside.join(', ')})`}`, ...notes].join('; ');
}
