import type { Backup, RestoreRequest } from '../api/kinds.ts';
import type { Condition } from '../api/parts.ts';
import { alignColumns } from './align-columns.ts';
import { formatBytes, formatDuration, formatRate } from '../domain/format.ts';
import type { Paint } from './paint.ts';

const barWidth = 20;

/** What runs and ends: both kinds tell it alike. */
export type Run = Backup | RestoreRequest;

/** Steps of a restore in which bytes move; in the others the rest is waiting. */
const movingSteps: readonly string[] = ['Fetching', 'Loading'];

export const hasEnded = (run: Run): boolean => ['True', 'False'].includes(findSucceeded(run)?.status ?? '');
export const hasSucceeded = (run: Run): boolean => findSucceeded(run)?.status === 'True';

/** One line for each run that is going on, in order of names: what a terminal shows. */
export function renderProgress(runs: readonly Run[], paint: Paint): readonly string[] {
  const going = runs.filter((run) => !hasEnded(run)).sort(byLabel);
  const width = Math.max(0, ...going.map((run) => labelOf(run).length));
  return going.map((run) => `${paint.bold(labelOf(run).padEnd(width))}  ${renderGoing(run, paint)}`);
}

/** What goes on with one run, in words without a bar; changes of it are worth a line in a log. */
export function renderState(run: Run): string {
  const condition = findSucceeded(run);
  if (condition === undefined) return 'Pending';
  const { phase = 'Pending' } = run.status ?? {};
  if (condition.status === 'True') {
    const plain = ['Succeeded', 'Restored'].includes(condition.reason);
    return `${phase}${renderSize(run)}${plain ? '' : ` (${condition.reason}: ${condition.message})`}`;
  }
  if (condition.status === 'False') return `${phase}: ${condition.reason}: ${condition.message}`;
  return condition.reason === 'Running' ? 'Running' : `${condition.reason}: ${condition.message}`;
}

function renderSize(run: Run): string {
  if (run.kind === 'RestoreRequest') {
    const { plainBytes = 0 } = run.status ?? {};
    return plainBytes === 0 ? '' : `, ${formatBytes(plainBytes)} loaded`;
  }
  const { storedBytes } = run.status ?? {};
  return storedBytes === undefined ? '' : `, ${formatBytes(storedBytes)} stored`;
}

/** How far a run is, in words: for lines that are not written over. Undefined while nothing moves. */
export function renderFigures(run: Run): string | undefined {
  const progress = run.status?.progress;
  if (progress === undefined || progress.databasesTotal === 0 || hasEnded(run)) return undefined;
  const { plainBytes, estimatedBytes, bytesPerSecond, database, databasesDone, databasesTotal } = progress;
  const share = shareOf(run);
  const left = (estimatedBytes ?? 0) - plainBytes;
  const number = Math.min(databasesDone + 1, databasesTotal);
  const step = 'step' in progress ? progress.step : undefined;
  const where = `database ${number}/${databasesTotal}${database === undefined ? '' : ` ${stripControls(database)}`}`;
  if (step !== undefined && !movingSteps.includes(step)) return `${step}  ${where}`;
  return [
    share === undefined ? formatBytes(plainBytes) : `${Math.floor(share * 100)}%`.padStart(4),
    ...(step === undefined ? [] : [step]),
    `${formatRate(bytesPerSecond, 1)} MB/s`,
    where,
    ...(left > 0 && bytesPerSecond > 0 ? [`ETA ${formatDuration(left / bytesPerSecond)}`] : []),
  ].join('  ');
}

/** The end of it: a table of Backups, with their destinations and what failed below each. */
export function renderTable(backups: readonly Backup[], paint: Paint): readonly string[] {
  if (backups.length === 0) return [];
  const head = ['BACKUP', 'PHASE', 'DATABASES', 'DUMPED', 'STORED', 'DURATION', 'MB/S'];
  return renderRuns(head, backups.toSorted(byLabel), tableRow, renderDetails, paint);
}

/** A table with name and phase first, and lines of details below each run. */
export function renderRuns<R extends Run>(
  head: readonly string[],
  runs: readonly R[],
  rowOf: (run: R) => readonly string[],
  detailsOf: (run: R, paint: Paint) => readonly string[],
  paint: Paint,
): readonly string[] {
  const [title = [], ...rows] = alignColumns([head, ...runs.map(rowOf)]);
  return [
    paint.dim(title.join('  ')),
    ...runs.flatMap((run, index) => {
      const [name = '', phase = '', ...rest] = rows[index] ?? [];
      const colour = hasSucceeded(run) ? paint.green : paint.red;
      return [[paint.bold(name), colour(phase), ...rest].join('  '), ...detailsOf(run, paint)];
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
  const condition = findSucceeded(backup);
  const { destinations = [], databases, notes = [] } = backup.status ?? {};
  return [
    ...(condition?.status === 'False' ? [`  ${paint.red(condition.reason)}: ${stripControls(condition.message)}`] : []),
    ...(databases?.failed ?? []).map(
      ({ name, reason, message }) => `  ${paint.red('✗')} database ${stripControls(name)}: ${reason}${tail(message)}`,
    ),
    ...notes.map(({ reason, count, message }) => {
      const often = count > 1 ? ` (${count} times)` : '';
      return `  ${paint.yellow('!')} ${reason}${often}${tail(message)}`;
    }),
    ...destinations.map(({ location, outcome, reason, message, manifestKey, manifestSha256 }) => {
      if (outcome === 'Failed') return `  ${paint.red('✗')} ${location}: ${reason ?? outcome}${tail(message)}`;
      const hash = manifestSha256 === undefined ? '' : `  sha256:${manifestSha256.slice(0, 12)}`;
      return `  ${paint.green('✓')} ${location}: ${manifestKey ?? outcome}${paint.dim(hash)}`;
    }),
  ];
}

function renderGoing(run: Run, paint: Paint): string {
  const figures = renderFigures(run);
  const condition = findSucceeded(run);
  const waits = condition !== undefined && condition.reason !== 'Running' && condition.reason !== 'Fetching';
  if (waits || figures === undefined) return paint.yellow(stripControls(renderState(run)));
  const filled = Math.round((shareOf(run) ?? 0) * barWidth);
  return `${'█'.repeat(filled)}${paint.dim('░'.repeat(barWidth - filled))} ${figures}`;
}

/** Never more than 99 %: the estimate may be too low, and only an end is an end. */
function shareOf({ status }: Run): number | undefined {
  const { plainBytes = 0, estimatedBytes = 0 } = status?.progress ?? {};
  return estimatedBytes === 0 ? undefined : Math.min(0.99, plainBytes / estimatedBytes);
}

export function findSucceeded(run: Run): Condition | undefined {
  return run.status?.conditions?.find(({ type }) => type === 'Succeeded');
}

const tail = (message: string | undefined): string => (message === undefined ? '' : `: ${stripControls(message)}`);

/** Names of databases and messages may hold what moves a terminal's cursor. */
export const stripControls = (text: string): string => text.replaceAll(/\p{Cc}+/gu, ' ');

export const byLabel = (a: Run, b: Run): number => labelOf(a).localeCompare(labelOf(b), 'en');

/** The namespace is said only when it is not the usual one. */
export function labelOf({ metadata: { namespace, name } }: Pick<Run, 'metadata'>): string {
  return namespace === 'default' ? name : `${namespace}/${name}`;
}
