import type { Failure } from '../api/failure.ts';
import { remedyFor } from '../api/remedies.ts';
import { alignColumns } from './align-columns.ts';
import { formatBytes } from '../domain/format.ts';
import type { LocationListing } from './list-location.ts';
import type { Paint } from './paint.ts';
import { stripControls } from './progress.ts';

/** A location with what is in it, or why that is not known. */
export type NamedListing = { readonly location: string; readonly namespace: string; readonly place: string } & (
  { readonly listing: LocationListing } | { readonly failure: Failure }
);

/** For people: one part for each location, backups above other files. */
export function renderListings(listings: readonly NamedListing[], paint: Paint): readonly string[] {
  return listings.flatMap((one, index) => [
    ...(index === 0 ? [] : ['']),
    `${paint.bold(one.location)}  ${paint.dim(stripControls(one.place))}`,
    ...('failure' in one ? renderFailure(one.failure, paint) : renderListing(one.listing, one.namespace, paint)),
  ]);
}

function renderFailure({ reason, message, hint }: Failure, paint: Paint): readonly string[] {
  return [
    `  ${paint.red(reason)}: ${stripControls(message)}`,
    `  ${paint.dim('remedy:')} ${hint ?? remedyFor(reason)}`,
  ];
}

function renderListing(listing: LocationListing, namespace: string, paint: Paint): readonly string[] {
  const { backups, files, damaged, closed, moreBackups, moreFiles } = listing;
  if (backups.length + files.length + damaged.length + closed.length === 0) return ['  nothing'];
  const backupRows = backups.map((backup) => [
    backup.namespace === namespace ? backup.id : `${backup.namespace}/${backup.id}`,
    backup.policy,
    timeOf(backup.startedAt),
    formatBytes(backup.plainBytes),
    formatBytes(backup.storedBytes),
    `PostgreSQL ${backup.serverMajor}`,
    backup.complete ? 'complete' : 'INCOMPLETE',
    [...backup.databases, ...backup.failed.map((name) => `${name} (failed)`)].join(', '),
  ]);
  const fileRows = files.map(({ key, bytes, modifiedAt, content }) => [
    key,
    timeOf(modifiedAt),
    formatBytes(bytes),
    content,
  ]);
  return [
    ...table(['BACKUP', 'POLICY', 'STARTED', 'DUMPED', 'STORED', 'SERVER', 'COPY', 'DATABASES'], backupRows, paint),
    ...more(moreBackups, 'backups', paint),
    ...table(['FILE', 'CHANGED', 'SIZE', 'CONTENT'], fileRows, paint),
    ...more(moreFiles, 'files', paint),
    ...damaged.map(({ key, message }) => `  ${paint.red('damaged')} ${stripControls(`${key}: ${message}`)}`),
    ...closed.map((folder) => `  ${paint.red('unread')} ${stripControls(`${folder}: it may not be read`)}`),
  ];
}

function table(head: readonly string[], rows: readonly (readonly string[])[], paint: Paint): readonly string[] {
  if (rows.length === 0) return [];
  const [title = '', ...lines] = alignColumns([head, ...rows.map((row) => row.map(stripControls))]).map((row) =>
    row.join('  '),
  );
  return [`  ${paint.dim(title)}`, ...lines.map((line) => `  ${line}`)];
}

const more = (count: number, what: string, paint: Paint): readonly string[] =>
  count === 0 ? [] : [paint.dim(`  and ${count} older ${what}: --limit shows more`)];

const timeOf = (iso: string): string => iso.replace(/\.\d+Z$/, 'Z');
