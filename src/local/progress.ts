import type { Backup } from '../api/kinds.ts';
import type { Condition } from '../api/parts.ts';
import { formatBytes, formatDuration, formatRate } from './format.ts';
import type { Paint } from './paint.ts';

const barWidth = 20;

export const isEndedBackup = (backup: Backup): boolean => ['True', 'False'].includes(succeeded(backup)?.status ?? '');
export const hasSucceeded = (backup: Backup): boolean => succeeded(backup)?.status === 'True';

/** One line for each Backup that is going on, in order of names: what a terminal shows. */
export function renderProgress(backups: readonly Backup[], paint: Paint): readonly string[] {
  const going = backups.filter((backup) => !isEndedBackup(backup)).sort(byName);
  const width = Math.max(0, ...going.map((backup) => labelOf(backup).length));
  return going.map((backup) => `${paint.bold(labelOf(backup).padEnd(width))}  ${renderGoing(backup, paint)}`);
}

/** What goes on with one Backup, in words without a bar; changes of it are worth a line in a log. */
export function renderState(backup: Backup): string {
  const condition = succeeded(backup);
  if (condition === undefined) return 'Pending';
  const { phase = 'Pending', storedBytes } = backup.status ?? {};
  if (condition.status === 'True') {
    const reason = condition.reason === 'Succeeded' ? '' : ` (${condition.reason}: ${condition.message})`;
    return `${phase}${storedBytes === undefined ? '' : `, ${formatBytes(storedBytes)} stored`}${reason}`;
  }
  if (condition.status === 'False') return `${phase}: ${condition.reason}: ${condition.message}`;
  return condition.reason === 'Running' ? 'Running' : `${condition.reason}: ${condition.message}`;
}

/** How far a running Backup is, in words: for lines that are not written over. Undefined while nothing moves. */
export function renderFigures(backup: Backup): string | undefined {
  const progress = backup.status?.progress;
  if (progress === undefined || progress.databasesTotal === 0 || isEndedBackup(backup)) return undefined;
  const { plainBytes, estimatedBytes, bytesPerSecond, database, databasesDone, databasesTotal } = progress;
  const share = shareOf(backup);
  const left = (estimatedBytes ?? 0) - plainBytes;
  const number = Math.min(databasesDone + 1, databasesTotal);
  return [
    share === undefined ? formatBytes(plainBytes) : `${Math.floor(share * 100)}%`.padStart(4),
    `${formatRate(bytesPerSecond, 1)} MB/s`,
    `database ${number}/${databasesTotal}${database === undefined ? '' : ` ${stripControls(database)}`}`,
    ...(left > 0 && bytesPerSecond > 0 ? [`ETA ${formatDuration(left / bytesPerSecond)}`] : []),
  ].join('  ');
}

/** The end of it: a table of Backups, with their destinations and what failed below each. */
export function renderTable(backups: readonly Backup[], paint: Paint): readonly string[] {
  if (backups.length === 0) return [];
  const head = ['BACKUP', 'PHASE', 'DATABASES', 'DUMPED', 'STORED', 'DURATION', 'MB/S'];
  const sorted = backups.toSorted(byName);
  const rows = sorted.map(tableRow);
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const print = (row: readonly string[]): readonly string[] =>
    row.map((cell, column) => cell.padEnd(column === row.length - 1 ? 0 : (widths[column] ?? 0)));
  return [
    paint.dim(print(head).join('  ')),
    ...sorted.flatMap((backup, index) => {
      const [name = '', phase = '', ...rest] = print(rows[index] ?? []);
      const colour = hasSucceeded(backup) ? paint.green : paint.red;
      return [[paint.bold(name), colour(phase), ...rest].join('  '), ...renderDetails(backup, paint)];
    }),
  ];
}

function tableRow(backup: Backup): readonly string[] {
  const { phase = 'Pending', databases, plainBytes, storedBytes, startedAt, completedAt } = backup.status ?? {};
  const seconds = (Date.parse(completedAt ?? '') - Date.parse(startedAt ?? '')) / 1000;
  const total = (databases?.stored.length ?? 0) + (databases?.failed.length ?? 0);
  return [
    labelOf(backup),
    phase,
    databases === undefined ? '–' : `${databases.stored.length}/${total}`,
    plainBytes === undefined ? '–' : formatBytes(plainBytes),
    storedBytes === undefined ? '–' : formatBytes(storedBytes),
    Number.isNaN(seconds) ? '–' : formatDuration(seconds),
    Number.isNaN(seconds) || plainBytes === undefined ? '–' : formatRate(plainBytes, seconds),
  ];
}

function renderDetails(backup: Backup, paint: Paint): readonly string[] {
  const condition = succeeded(backup);
  const { destinations = [], databases } = backup.status ?? {};
  return [
    ...(condition?.status === 'False' ? [`  ${paint.red(condition.reason)}: ${stripControls(condition.message)}`] : []),
    ...(databases?.failed ?? []).map(
      ({ name, reason, message }) => `  ${paint.red('✗')} database ${stripControls(name)}: ${reason}${tail(message)}`,
    ),
    ...destinations.map(({ location, outcome, reason, message, manifestKey, manifestSha256 }) => {
      if (outcome === 'Failed') return `  ${paint.red('✗')} ${location}: ${reason ?? outcome}${tail(message)}`;
      const hash = manifestSha256 === undefined ? '' : `  sha256:${manifestSha256.slice(0, 12)}`;
      return `  ${paint.green('✓')} ${location}: ${manifestKey ?? outcome}${paint.dim(hash)}`;
    }),
  ];
}

function renderGoing(backup: Backup, paint: Paint): string {
  const figures = renderFigures(backup);
  const condition = succeeded(backup);
  const waits = condition !== undefined && condition.reason !== 'Running';
  if (waits || figures === undefined) return paint.yellow(stripControls(renderState(backup)));
  const filled = Math.round((shareOf(backup) ?? 0) * barWidth);
  return `${'█'.repeat(filled)}${paint.dim('░'.repeat(barWidth - filled))} ${figures}`;
}

/** Never more than 99 %: the estimate may be too low, and only an end is an end. */
function shareOf({ status }: Backup): number | undefined {
  const { plainBytes = 0, estimatedBytes = 0 } = status?.progress ?? {};
  return estimatedBytes === 0 ? undefined : Math.min(0.99, plainBytes / estimatedBytes);
}

function succeeded(backup: Backup): Condition | undefined {
  return backup.status?.conditions?.find(({ type }) => type === 'Succeeded');
}

const tail = (message: string | undefined): string => (message === undefined ? '' : `: ${stripControls(message)}`);

/** Names of databases and messages may hold what moves a terminal's cursor. */
export const stripControls = (text: string): string => text.replaceAll(/\p{Cc}+/gu, ' ');

const byName = (a: Backup, b: Backup): number => labelOf(a).localeCompare(labelOf(b), 'en');

/** The namespace is said only when it is not the usual one. */
export function labelOf({ metadata: { namespace, name } }: Backup): string {
  return namespace === 'default' ? name : `${namespace}/${name}`;
}
