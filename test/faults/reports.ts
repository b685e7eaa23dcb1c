/** What somebody reported of this job (docs/faults.md), and the test that keeps it mended. */
export interface FieldReport {
  readonly id: string;
  readonly report: string;
  /** Path below `test`. */
  readonly file: string;
  /** Part of the test's title, as it stands in the file. */
  readonly title: string;
}

const report = (id: string, text: string, file: string, title: string): FieldReport => ({
  id,
  report: text,
  file,
  title,
});

export const fieldReports: readonly FieldReport[] = [
  report(
    'B06',
    '`@` or `/` stands raw in the password of a URI',
    'postgres/server-uri.test.ts',
    'reads a password with raw delimiters as its writer meant it, or refuses it with the remedy',
  ),
  report(
    'B08',
    'SFTP servers over object stores know the size of a file after CLOSE only',
    'storage/sftp-habits.real.test.ts',
    'tell the size of a new file when it is closed and looked at',
  ),
  report(
    'B09',
    'SFTP attributes come without type bits or without permissions',
    'storage/sftp-habits.real.test.ts',
    'are enough',
  ),
  report(
    'B10',
    '`lost+found` of root lies at the root of a volume',
    'storage/left-out.real.test.ts',
    'ends a listing, but for who can do without it',
  ),
  report(
    'B11',
    'role, database or server have a `statement_timeout` and its kin',
    'postgres/session.real.test.ts',
    'makes no difference for any setting of our sessions',
  ),
  report(
    'B12',
    'poolers refuse a login with 08P01 or XX000',
    'postgres/login-refusals.real.test.ts',
    'at once: waiting would not help',
  ),
  report(
    'B13',
    'a pool that shares sessions passes an empty `search_path` on',
    'postgres/pooler.real.test.ts',
    'that shares sessions with applications at work is refused',
  ),
  report(
    'B14',
    'templates write optional keys of Secrets with empty values',
    'runner/secrets.test.ts',
    'an optional key without a value counts as absent',
  ),
  report('B15', 'private keys in PKCS#8 and other shapes', 'storage/sftp-key.test.ts', 'a private key in PKCS#8'),
  report(
    'B16',
    'SELECT on tables, but not on sequences',
    'postgres/dump-refusals.real.test.ts',
    'a sequence, with its name, and pg_read_all_data is what helps',
  ),
  report(
    'B22',
    'databases that let nobody in, or are invalid',
    'runner/lost-databases.real.test.ts',
    'because it lets nobody in is told',
  ),
  report(
    'B24',
    'storage classes of archives',
    'storage/s3-manners.real.test.ts',
    'as storage class is asked for dumps, and never for what is whole in memory',
  ),
  report(
    'B29',
    'a proxy in front of the store answers 413 to large parts',
    'foreign/probe.real.test.ts',
    'The probe behind nginx',
  ),
  report(
    'B30',
    'fsync is offered by SFTP and refused',
    'storage/sftp-habits.real.test.ts',
    'is offered and refused, always',
  ),
  report(
    'B31',
    'posix-rename, hardlink or LSTAT are offered by SFTP and unsupported',
    'storage/sftp-habits.real.test.ts',
    'objects are replaced, and it is not asked for again',
  ),
  report(
    'B32',
    'Secrets made by PowerShell: byte order mark, UTF-16',
    'runner/secrets.test.ts',
    'is refused at once, and none of it is repeated',
  ),
  report(
    'B34',
    'S3 is reached through an HTTP proxy only',
    'runner/s3-from-outside.real.test.ts',
    'a runner reaches S3 through the proxy of its environment, and only so',
  ),
  report(
    'B37',
    'row security and large objects need more than `pg_read_all_data`',
    'postgres/dump-refusals.real.test.ts',
    'a table with row security, and BYPASSRLS or owning it helps',
  ),
  report(
    'B44',
    'listings echo `encoding-type=url` and do not encode',
    'storage/s3-manners.real.test.ts',
    'are read as they are, and whatever the answer says',
  ),
];
