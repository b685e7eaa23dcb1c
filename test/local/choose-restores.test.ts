import { describe, expect, it } from 'vitest';
import { chooseRestores } from '../../src/local/choose-restores.ts';
import { loadObjects } from '../../src/local/load.ts';
import type { RestoreFlags } from '../../src/local/restore-flags.ts';

const yaml = `
apiVersion: v1
kind: Secret
metadata: { name: db }
stringData: { username: backup, password: hidden }
---
apiVersion: v1
kind: Secret
metadata: { name: staging }
stringData: { uri: "postgresql://admin:hidden@staging:5433/postgres" }
---
apiVersion: pgbackup.dev/v1beta1
kind: BackupLocation
metadata: { name: disk }
spec: { directory: { path: /backups } }
---
apiVersion: pgbackup.dev/v1beta1
kind: BackupPolicy
metadata: { name: nightly }
spec:
  source:
    postgres: { host: db.example.com, port: 5440, tls: { mode: require }, credentials: { secretName: db }, databases: { all: true } }
  schedule: "@daily"
  destinations: [{ location: disk }]
---
apiVersion: pgbackup.dev/v1beta1
kind: Backup
metadata: { name: by-hand }
spec: { policy: nightly }
`;
const request = (name: string, more = '') => `---
apiVersion: pgbackup.dev/v1beta1
kind: RestoreRequest
metadata: { name: ${name} }
spec:
  source: { policy: { name: nightly, latest: true } }
  target: { postgres: { host: db.example.com, credentials: { secretName: db } }, database: shop }
${more}`;

const none: RestoreFlags = {
  requests: [],
  restorePolicy: undefined,
  backup: undefined,
  policy: undefined,
  latest: false,
  at: undefined,
  location: undefined,
  file: undefined,
  pattern: undefined,
  member: undefined,
  foreign: false,
  target: undefined,
  targetEnv: undefined,
  targetOf: undefined,
  databases: [],
  mode: undefined,
  jobs: undefined,
  keepPrevious: false,
  globals: false,
  privilegedGlobals: false,
  without: [],
  onError: undefined,
  owner: true,
  privileges: true,
  namespace: undefined,
};
const nowMs = Date.UTC(2026, 0, 2, 3, 4, 5);

function choose(flags: Partial<RestoreFlags>, text = yaml, env: Readonly<Record<string, string>> = {}) {
  const { objects, errors } = loadObjects([{ name: 'files', text }], '/');
  expect(errors).toEqual([]);
  return chooseRestores(objects, { ...none, ...flags }, env, nowMs);
}
const made = (flags: Partial<RestoreFlags>, text?: string, env?: Readonly<Record<string, string>>) =>
  choose(flags, text, env).requests[0]?.object as { metadata: object; spec: Record<string, unknown> } | undefined;

describe('choosing what is restored', () => {
  it('takes the RestoreRequests of the files, all or those that are named, and runs nothing else of them', () => {
    const text = `${yaml}${request('one')}${request('two')}`;
    const { objects, requests } = choose({}, text);
    expect(requests.map(({ object }) => object.metadata.name)).toEqual(['one', 'two']);
    expect(objects.map(({ object: { kind, metadata } }) => `${kind} ${metadata.name}`)).toEqual([
      'Secret db',
      'Secret staging',
      'BackupLocation disk',
    ]);
    expect(choose({ requests: ['two'] }, text).requests.map(({ object }) => object.metadata.name)).toEqual(['two']);
  });

  it('asks of a location only to be read', () => {
    const location = choose({}, `${yaml}${request('one')}`).objects.at(-1);
    expect(location?.object.spec).toMatchObject({ accessMode: 'ReadOnly', directory: { path: '/backups' } });
  });

  it('makes a request of flags: a policy’s newest, to the server that a policy backs up', () => {
    const flags = {
      policy: 'nightly',
      latest: true,
      targetOf: 'nightly',
      databases: ['shop=copy'],
      mode: 'Create',
    } as const;
    expect(made(flags)).toMatchObject({
      metadata: { name: 'restore-20260102t030405z', namespace: 'default' },
      spec: {
        source: { policy: { name: 'nightly', latest: true }, database: 'shop' },
        target: {
          postgres: { host: 'db.example.com', port: 5440, tls: { mode: 'require' }, credentials: { secretName: 'db' } },
          database: 'copy',
        },
        mode: 'Create',
        options: { noOwner: false, globals: false },
      },
    });
    expect(made(flags)?.spec['target']).not.toHaveProperty('postgres.databases');
  });

  it('makes a request of flags: a file of the only location, to the uri of a Secret', () => {
    const flags = {
      pattern: 'dumps/*.zip',
      member: '*.sql',
      foreign: true,
      target: 'staging',
      databases: ['shop'],
      jobs: 4,
    };
    expect(
      made({
        ...flags,
        owner: false,
        privileges: false,
        globals: true,
        privilegedGlobals: true,
        without: ['tablespaces'],
        keepPrevious: true,
      })?.spec,
    ).toMatchObject({
      source: { file: { location: 'disk', pattern: 'dumps/*.zip', member: '*.sql', foreign: true } },
      target: { postgres: { credentials: { secretName: 'staging' } }, database: 'shop' },
      mode: 'Replace',
      keepPrevious: true,
      options: {
        jobs: 4,
        noOwner: true,
        noPrivileges: true,
        globals: true,
        privilegedGlobals: true,
        without: ['tablespaces'],
      },
    });
  });

  it('makes a request of flags: several databases of one backup', () => {
    const databases = ['shop', 'blog=blog_copy'];
    expect(made({ backup: 'a', location: 'disk', target: 'staging', databases })?.spec).toMatchObject({
      source: { backup: { name: 'a', location: 'disk' } },
      target: {
        databases: [
          { source: 'shop', target: 'shop' },
          { source: 'blog', target: 'blog_copy' },
        ],
      },
    });
  });

  it('takes a uri from the environment into a Secret, and nowhere else', () => {
    const uri = 'postgresql://admin:very-hidden@other/postgres';
    const flags = { backup: 'a', targetEnv: 'STAGING', databases: ['shop'] };
    const taken = yaml.replace('name: staging', 'name: restore-target');
    const { objects, requests } = choose(flags, taken, { STAGING: uri });
    expect(JSON.stringify(requests)).not.toContain('very-hidden');
    expect(requests[0]?.object.spec).toMatchObject({
      target: { postgres: { credentials: { secretName: 'restore-target-2' } } },
    });
    expect(objects.at(-1)?.object).toMatchObject({
      kind: 'Secret',
      metadata: { name: 'restore-target-2', namespace: 'default' },
      data: { uri: Buffer.from(uri).toString('base64') },
    });
  });

  it('makes the request of a RestorePolicy', () => {
    const policy = `---
apiVersion: pgbackup.dev/v1beta1
kind: RestorePolicy
metadata: { name: refresh }
spec:
  schedule: "@daily"
  template: { spec: { source: { policy: { name: nightly, latest: true } }, target: { postgres: { credentials: { secretName: staging } }, database: shop }, afterSql: ["SELECT 1"] } }
`;
    expect(made({ restorePolicy: 'refresh' }, `${yaml}${policy}`)).toMatchObject({
      metadata: { name: 'refresh-20260102t030405z' },
      spec: { target: { database: 'shop' }, afterSql: ['SELECT 1'] },
    });
  });
});

describe('what cannot be restored is told before anything starts', () => {
  const shop = { databases: ['shop'], target: 'staging' };
  it.each<[string, Partial<RestoreFlags>, string, RegExp, RegExp]>([
    ['no source', { ...shop }, 'SpecInvalid', /one of --backup, .* none is given/, /--help/],
    ['two sources', { ...shop, backup: 'a', file: 'b' }, 'SpecInvalid', /--backup and --file are given/, /--help/],
    ['no time', { ...shop, policy: 'nightly' }, 'SpecInvalid', /one of --latest and --at/, /--help/],
    [
      'no time to understand',
      { ...shop, policy: 'nightly', at: 'noon' },
      'SpecInvalid',
      /spec\.source\.policy\.at/,
      /--help/,
    ],
    ['latest of a file', { ...shop, file: 'x', latest: true }, 'SpecInvalid', /go with --policy/, /--help/],
    ['member of a backup', { ...shop, backup: 'x', member: 'y' }, 'SpecInvalid', /--member goes with/, /--help/],
    [
      'other namespaces of a backup',
      { ...shop, backup: 'x', foreign: true },
      'SpecInvalid',
      /--foreign goes/,
      /--help/,
    ],
    ['no database', { backup: 'a', target: 'staging' }, 'SpecInvalid', /--database says/, /--help/],
    ['an empty name', { ...shop, backup: 'a', databases: ['=x'] }, 'SpecInvalid', /--database =x/, /RestoreRequest/],
    ['no server', { backup: 'a', databases: ['shop'] }, 'SpecInvalid', /one of --target, /, /--help/],
    ['a Secret without uri', { ...shop, backup: 'a', target: 'db' }, 'SecretInvalid', /has no key uri/, /--target-of/],
    ['no such Secret', { ...shop, backup: 'a', target: 'x' }, 'SecretMissing', /no Secret x/, /they have db, staging/],
    [
      'no such variable',
      { databases: ['a'], backup: 'a', targetEnv: 'X' },
      'SecretMissing',
      /variable X is not set/,
      /export/,
    ],
    ['no such location', { ...shop, file: 'a', location: 'x' }, 'LocationMissing', /no location x/, /they have disk/],
    ['no such policy', { databases: ['a'], backup: 'a', targetOf: 'x' }, 'PolicyMissing', /no policy x/, /nightly/],
    ['no such request', { requests: ['x'] }, 'SpecInvalid', /no RestoreRequest x/, /they have one/],
    ['flags beside a request', { requests: ['one'], mode: 'Create' }, 'SpecInvalid', /exclude each other/, /flags, or/],
    [
      'a rule of the kind',
      { ...shop, backup: 'a', mode: 'InPlace', jobs: 2 },
      'SpecInvalid',
      /jobs must be 1/,
      /--help/,
    ],
  ])('%s', (_, flags, reason, message, hint) => {
    expect(() => choose(flags, `${yaml}${request('one')}`)).toThrow(
      expect.objectContaining({
        reason,
        message: expect.stringMatching(message) as string,
        hint: expect.stringMatching(hint) as string,
      }),
    );
  });

  it('nothing at all to restore', () => {
    expect(() => choose({})).toThrow(/no RestoreRequest, and no flags/);
  });
  it('a Secret or location that a request names and the files do not have', () => {
    expect(() => choose({}, yaml.replace('name: db }', 'name: other }') + request('one'))).toThrow(
      expect.objectContaining({
        reason: 'SecretMissing',
        message: 'there is no Secret db in these files in namespace default',
      }),
    );
    expect(() =>
      choose(
        {},
        yaml.replace('name: disk', 'name: other') +
          request('one').replace('latest: true', 'latest: true, location: disk'),
      ),
    ).toThrow(expect.objectContaining({ reason: 'LocationMissing' }));
  });
  it('a uri that cannot be used, without a word of it', () => {
    const flags = { backup: 'a', targetEnv: 'X', databases: ['shop'] };
    expect(() => choose(flags, yaml, { X: 'mysql://root:very-hidden@db' })).toThrow(
      expect.objectContaining({ reason: 'SecretInvalid', message: expect.not.stringContaining('hidden') as string }),
    );
  });
  it('several namespaces, of which none is chosen', () => {
    const two = `${yaml}${request('one').replace('name: one', 'name: one, namespace: shop')}`;
    expect(() => choose({ backup: 'a', target: 'staging', databases: ['shop'] }, two)).toThrow(
      expect.objectContaining({
        message: 'the files have several namespaces: default, shop',
        hint: 'choose one with --namespace',
      }),
    );
  });
});
