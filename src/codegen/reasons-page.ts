import { remedyVariants, type RemedyFor } from '../api/remedies.ts';
import { failureReasons, isFailureReason, stateReasons } from '../api/reasons.ts';
import { formatCode, formatTable } from './markdown.ts';

const consequences = {
  retry: 'transient: tried again within the retries',
  wait: 'waits until a spec or something it refers to changes',
  never: 'not tried again by itself',
} as const;

const remedyTitles = {
  backup: 'of a backup',
  restore: 'of a restore',
  s3: 'at S3',
  sftp: 'at SFTP',
  directory: 'in a directory',
} as const satisfies Record<RemedyFor, string>;

/** docs/reasons.md: every word that can stand in `reason`. */
export function printReasonsPage(): string {
  const failures = Object.entries(failureReasons).map(([name, entry]) =>
    [
      `### ${name}`,
      '',
      entry.meaning,
      '',
      `- Consequence: ${entry.consequence} (${consequences[entry.consequence]})`,
      `- Exit code of the runner: ${entry.exitCode}`,
      `- Remedy: ${entry.remedy}`,
      ...(isFailureReason(name) ? remedyVariants(name) : []).map(
        ([kind, remedy]) => `- Remedy, ${remedyTitles[kind]}: ${remedy}`,
      ),
      '',
    ].join('\n'),
  );
  const states = Object.entries(stateReasons).map(([name, meaning]) => [formatCode(name), meaning]);
  return [
    '# Reasons',
    '',
    'The same word stands in the `reason` of a condition or event, in the `reason` label of metrics, in logs, and here.',
    '',
    '## Exit codes of the runner',
    '',
    formatTable(
      ['Code', 'Meaning'],
      [
        ['0', 'done; at most a destination with `required: false` failed'],
        ['1', 'a bug'],
        ['3', 'done in part: a required destination or a database failed; what succeeded is stored'],
        ['75', 'transient: the Job tries again within its retries'],
        ['64–74, 76–78', 'permanent: trying again without a change cannot help'],
      ],
    ),
    '',
    '## Failures',
    '',
    ...failures,
    '## States',
    '',
    'Reasons of conditions and events that are no failures.',
    '',
    formatTable(['Reason', 'Meaning'], states),
    '',
  ].join('\n');
}
