import type { RestoreRequest } from '../api/kinds.ts';
import { isFailureReason } from '../api/reasons.ts';
import { remedyFor } from '../api/remedies.ts';
import { formatBytes, formatDuration, formatRate } from '../domain/format.ts';
import type { Paint } from './paint.ts';
import { byLabel, findSucceeded, labelOf, renderRuns, stripControls } from './progress.ts';

/** The end of restores: a table, with what became of each target, what was left out, and a remedy below each. */
export function renderRestores(requests: readonly RestoreRequest[], paint: Paint): readonly string[] {
  if (requests.length === 0) return [];
  const head = ['RESTORE', 'PHASE', 'MODE', 'SOURCE', 'LOADED', 'DURATION', 'MB/S'];
  return renderRuns(head, requests.toSorted(byLabel), tableRow, renderDetails, paint);
}

function tableRow(request: RestoreRequest): readonly string[] {
  const { phase = 'Pending', plainBytes, startedAt, completedAt } = request.status ?? {};
  const seconds = (Date.parse(completedAt ?? '') - Date.parse(startedAt ?? '')) / 1000;
  const loaded = plainBytes === undefined || plainBytes === 0 ? undefined : plainBytes;
  return [
    labelOf(request),
    phase,
    request.spec.mode,
    describeSource(request),
    loaded === undefined ? '–' : formatBytes(loaded),
    Number.isNaN(seconds) ? '–' : formatDuration(seconds),
    Number.isNaN(seconds) || loaded === undefined ? '–' : formatRate(loaded, seconds),
  ];
}

/** What was chosen, or else what was asked for. */
function describeSource({ spec: { source }, status }: RestoreRequest): string {
  const { backup, key, member } = status?.source ?? {};
  const inside = member === undefined ? '' : ` (${member})`;
  const asked =
    source.backup?.name ?? source.policy?.name ?? source.file?.key ?? source.file?.pattern ?? 'unknown source';
  return stripControls(backup ?? (key === undefined ? asked : `${key}${inside}`));
}

function renderDetails(request: RestoreRequest, paint: Paint): readonly string[] {
  const condition = findSucceeded(request);
  const { databases = [], rolesCreated = [] } = request.status ?? {};
  const failed = condition?.status === 'False';
  const notable = condition?.status === 'True' && !['Succeeded', 'Restored'].includes(condition.reason);
  return [
    ...(failed ? [`  ${paint.red(condition.reason)}: ${stripControls(condition.message)}`] : []),
    ...(notable ? [`  ${paint.yellow(condition.reason)}: ${stripControls(condition.message)}`] : []),
    ...databases.flatMap(({ source, target, outcome, reason, message, previous, notes = [], refused }) => {
      const mark = outcome === 'Restored' ? paint.green('✓') : paint.red('✗');
      const names = source === undefined || source === target ? target : `${source} → ${target}`;
      const kept = previous === undefined ? '' : `; what it was before is kept as ${previous}`;
      // With one target the line above has said it.
      const isSaid = reason === undefined || (databases.length === 1 && reason === condition?.reason);
      const why = isSaid ? '' : `: ${reason}${message === undefined ? '' : `: ${message}`}`;
      return [
        `  ${mark} ${stripControls(`${names}: ${outcome}${kept}${why}`)}`,
        ...(refused?.entries ?? []).map(
          ({ entry, message: words }) => `    ${paint.red('refused:')} ${stripControls(`${entry}: ${words}`)}`,
        ),
        ...(refused === undefined || refused.count <= refused.entries.length
          ? []
          : [`    ${paint.red('refused:')} and ${refused.count - refused.entries.length} more`]),
        ...notes.map((note) => `    ${paint.dim('note:')} ${stripControls(note)}`),
      ];
    }),
    ...(rolesCreated.length === 0 ? [] : [`  roles created: ${stripControls(rolesCreated.join(', '))}`]),
    // Who stopped it knows what to do.
    ...(failed && isFailureReason(condition.reason) && condition.reason !== 'Aborted'
      ? [`  ${paint.dim('remedy:')} ${remedyFor(condition.reason, 'restore')}`]
      : []),
  ];
}
