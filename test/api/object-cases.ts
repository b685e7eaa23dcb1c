import { apiVersion } from '../../src/api/kinds.ts';

/** An object to create; with `old`, to put over it. The same judgement is expected of validate.ts and of a real API server. */
export interface GoodObject {
  readonly name: string;
  readonly object: TestObject;
  readonly old?: TestObject;
}

export interface BadObject extends GoodObject {
  /** Part of the message, the same from both. */
  readonly error: string;
}

export interface TestObject {
  readonly apiVersion: string;
  readonly kind: 'BackupLocation' | 'BackupPolicy' | 'Backup' | 'RestoreRequest' | 'RestorePolicy';
  readonly metadata: { readonly name: string; readonly [member: string]: unknown };
  readonly spec: unknown;
  readonly [member: string]: unknown;
}

type Members = Readonly<Record<string, unknown>>;
const make = (kind: TestObject['kind'], name: string, spec: unknown): TestObject => ({
  apiVersion,
  kind,
  metadata: { name },
  spec,
});

export const location = (spec: unknown, name = 'a-location') => make('BackupLocation', name, spec);
export const policy = (spec: unknown, name = 'a-policy') => make('BackupPolicy', name, spec);
export const backup = (spec: unknown, name = 'a-backup') => make('Backup', name, spec);

export const s3 = (members: Members = {}) =>
  location({ s3: { bucket: 'backups', region: 'eu-central-1', ...members } });
export const hostKey = `SHA256:${'A'.repeat(43)}`;
export const sftp = (members: Members = {}) =>
  location({
    sftp: {
      host: 'sftp.example.com',
      path: 'backups',
      credentials: { secretName: 's' },
      hostKeys: [hostKey],
      ...members,
    },
  });
export const directory = (members: Members = {}) => location({ directory: { path: '/backups', ...members } });

/** The smallest policy, with members of postgres replaced. */
export const source = (members: Members = {}) => ({
  postgres: { credentials: { secretName: 'pg' }, databases: { all: true }, ...members },
});
export const withPolicy = (members: Members = {}) =>
  policy({ source: source(), destinations: [{ location: 'a' }], ...members });
export const withRunner = (runner: Members) => withPolicy({ runner });

export const restore = (spec: unknown, name = 'a-restore') => make('RestoreRequest', name, spec);
export const restorePolicy = (spec: unknown, name = 'a-restore-policy') => make('RestorePolicy', name, spec);
export const server = { credentials: { secretName: 'pg' } };
/** The smallest spec of a restore, with members replaced. */
export const restoreOf = (members: Members = {}): Members => ({
  source: { backup: { name: 'a' } },
  target: { postgres: server, database: 'app' },
  ...members,
});
export const withRestore = (members: Members = {}) => restore(restoreOf(members));
export const withSource = (source: unknown) => withRestore({ source });
/** The smallest policy, with members of the template replaced. */
export const withTemplate = (members: Members = {}, others: Members = {}) =>
  restorePolicy({ schedule: '@daily', template: { spec: restoreOf(members) }, ...others });

export const repeat = <T>(count: number, item: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => item(index));
