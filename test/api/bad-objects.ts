import {
  backup,
  directory,
  hostKey,
  location,
  policy,
  repeat,
  restore,
  s3,
  server,
  sftp,
  source,
  withPolicy,
  withRunner,
  type BadObject,
} from './object-cases.ts';
import { badRestores } from './restore-objects.ts';

const longName = (length: number) => ({ metadata: { name: 'n'.repeat(length) } });
const databases = (members: unknown) => withPolicy({ source: source({ databases: members }) });
const time = '2026-01-01T03:00:00Z';

const names: readonly BadObject[] = [
  { name: 'a location name of 41 characters', object: { ...s3(), ...longName(41) }, error: 'at most 40 characters' },
  {
    name: 'a policy name of 41 characters',
    object: { ...withPolicy(), ...longName(41) },
    error: 'at most 40 characters',
  },
  {
    name: 'a backup name of 58 characters',
    object: { ...backup({ policy: 'a' }), ...longName(58) },
    error: 'at most 57 characters',
  },
  {
    name: 'a name with a dot',
    object: { ...withPolicy(), metadata: { name: 'a.b' } },
    error: 'metadata.name must consist of',
  },
];

const recipient = (member: unknown) => withPolicy({ encryption: { recipients: [member] } });
const kms = (members: Readonly<Record<string, unknown>>) =>
  recipient({ kms: { keyId: 'alias/backups', region: 'eu-west-1', ...members } });
const keys: readonly BadObject[] = [
  {
    name: 'a recipient that is two',
    object: recipient({ kms: { keyId: 'a', region: 'b' }, key: { secretName: 's' } }),
    error: 'exactly one of publicKey, publicKeyFrom, key, passphrase, kms must be set',
  },
  {
    name: 'a key of KMS without a region',
    object: recipient({ kms: { keyId: 'alias/a' } }),
    error: 'kms.region: Required',
  },
  {
    name: 'a key of KMS in another region than its ARN says',
    object: kms({ keyId: 'arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab' }),
    error: 'region must be that of the ARN',
  },
  {
    name: 'an ARN of another service',
    object: kms({ keyId: 'arn:aws:s3:::bucket' }),
    error: 'spec.encryption.recipients[0].kms.keyId',
  },
  {
    name: 'a KMS behind a port that is none',
    object: kms({ endpoint: 'https://kms.example.com:99999' }),
    error: 'the port must be 1–65535',
  },
];

const publicKey = '-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----\n';
const signatures: readonly BadObject[] = [
  { name: 'signing without a key', object: withPolicy({ signing: {} }), error: 'spec.signing.key: Required' },
  {
    name: 'signatures of nobody',
    object: location({ directory: { path: '/x' }, signatures: { publicKeys: [] } }),
    error: 'spec.signatures.publicKeys',
  },
  {
    name: 'a private key among public ones',
    object: location({
      directory: { path: '/x' },
      signatures: { publicKeys: [publicKey.replaceAll('PUBLIC', 'PRIVATE')] },
    }),
    error: 'spec.signatures.publicKeys[0]',
  },
  {
    name: 'a signed file of others',
    object: restore({
      source: { file: { location: 'a', key: 'k' }, signedBy: [publicKey] },
      target: { postgres: server, database: 'b' },
    }),
    error: 'signedBy goes with backup or policy',
  },
];

const unknownFields: readonly BadObject[] = [
  {
    name: 'an unknown field of a policy',
    object: withPolicy({ scheduel: '@daily' }),
    error: 'unknown field "spec.scheduel"',
  },
  {
    name: 'an unknown field deep down',
    object: withPolicy({ source: source({ tls: { modus: 'x' } }) }),
    error: 'unknown field "spec.source.postgres.tls.modus"',
  },
  {
    name: 'an unknown field in a list',
    object: withPolicy({ destinations: [{ location: 'a', optional: true }] }),
    error: 'unknown field "spec.destinations[0].optional"',
  },
  { name: 'an unknown field beside spec', object: { ...withPolicy(), data: {} }, error: 'unknown field "data"' },
  {
    name: 'an unknown role of a Secret',
    object: s3({ credentials: { secretName: 's', keys: { user: 'x' } } }),
    error: 'unknown field "spec.s3.credentials.keys.user"',
  },
];

const locations: readonly BadObject[] = [
  { name: 'a location without a place', object: location({}), error: 'exactly one of s3, sftp, directory must be set' },
  {
    name: 'a location with two places',
    object: location({ s3: { bucket: 'abc', region: 'x' }, directory: { path: '/x' } }),
    error: 'exactly one of s3, sftp, directory must be set',
  },
  {
    name: 'S3 without region and endpoint',
    object: location({ s3: { bucket: 'backups' } }),
    error: 'region is needed on AWS',
  },
  { name: 'S3 without bucket', object: location({ s3: { region: 'x' } }), error: 'spec.s3.bucket: Required value' },
  { name: 'a bucket with capitals', object: s3({ bucket: 'Backups' }), error: 'spec.s3.bucket in body should match' },
  {
    name: 'a bucket of two characters',
    object: s3({ bucket: 'ab' }),
    error: 'spec.s3.bucket in body should be at least 3 chars long',
  },
  { name: 'a bucket of 64 characters', object: s3({ bucket: 'b'.repeat(64) }), error: 'spec.s3.bucket: Too long' },
  { name: 'a bucket with two dots in a row', object: s3({ bucket: 'a..b' }), error: 'must not have two dots in a row' },
  { name: 'a bucket like an address', object: s3({ bucket: '192.168.5.4' }), error: 'look like an IP address' },
  { name: 'a prefix that climbs', object: s3({ prefix: 'a/../b' }), error: 'must not have . or .. as a segment' },
  {
    name: 'a prefix with a slash at its end',
    object: s3({ prefix: 'a/' }),
    error: 'spec.s3.prefix in body should match',
  },
  {
    name: 'an endpoint without scheme',
    object: s3({ endpoint: 'minio:9000' }),
    error: 'must begin with http:// or https://, such as http://minio:9000',
  },
  {
    name: 'an endpoint with a password',
    object: s3({ endpoint: 'https://u:p@s3.example.com' }),
    error: 'must be a URL such as https://s3.example.com',
  },
  {
    name: 'an endpoint with a line break',
    object: s3({ endpoint: 'https://s3.example.com\n' }),
    error: 'must be a URL such as https://s3.example.com',
  },
  {
    name: 'an endpoint with port 0',
    object: s3({ endpoint: 'https://s3.example.com:0/x' }),
    error: 'the port must be 1–65535',
  },
  {
    name: 'an endpoint with port 65536',
    object: s3({ endpoint: 'https://s3.example.com:65536' }),
    error: 'the port must be 1–65535',
  },
  {
    name: 'an endpoint with half an address of IPv6',
    object: s3({ endpoint: 'http://[2001:db8:1]:9000' }),
    error: 'must be a URL such as',
  },
  {
    name: 'an endpoint with an address of IPv6 without brackets',
    object: s3({ endpoint: 'http://2001:db8::1' }),
    error: 'must be a URL such as https://s3.example.com',
  },
  {
    name: 'an endpoint with an address of IPv6 and port 0',
    object: s3({ endpoint: 'http://[::1]:0' }),
    error: 'the port must be 1',
  },
  {
    name: 'an endpoint with an address of IPv6 and port 99999',
    object: s3({ endpoint: 'http://[::1]:99999/x' }),
    error: 'the port must be 1',
  },
  {
    name: 'dumps in an archive',
    object: s3({ storageClass: 'GLACIER' }),
    error: 'must be a class that can be read at once',
  },
  {
    name: 'dumps in a deep archive',
    object: s3({ storageClass: 'DEEP_ARCHIVE' }),
    error: 'must be a class that can be read at once',
  },
  {
    name: 'a proxy with a password in it',
    object: location({
      s3: { bucket: 'backups', region: 'x' },
      runner: { proxy: { httpsProxy: 'http://user:word@proxy:3128' } },
    }),
    error: 'spec.runner.proxy.httpsProxy in body should match',
  },
  {
    name: 'an endpoint with half an address',
    object: s3({ endpoint: 'http://192.0.2:9000' }),
    error: 'must be a URL such as',
  },
  {
    name: 'an endpoint with an impossible address',
    object: s3({ endpoint: 'http://192.0.2.256/x' }),
    error: 'must be a URL such as',
  },
  {
    name: 'a KMS key with AES256',
    object: s3({ serverSideEncryption: { algorithm: 'AES256', kmsKeyId: 'x' } }),
    error: 'kmsKeyId goes with aws:kms',
  },
  {
    name: 'server-side encryption without algorithm',
    object: s3({ serverSideEncryption: { kmsKeyId: 'x' } }),
    error: 'spec.s3.serverSideEncryption.algorithm: Required value',
  },
  {
    name: 'an unknown access mode',
    object: location({ directory: { path: '/x' }, accessMode: 'readonly' }),
    error: 'spec.accessMode: Unsupported value: "readonly"',
  },
  {
    name: 'an inspection every second',
    object: location({ directory: { path: '/x' }, inspectionIntervalSeconds: 1 }),
    error: 'should be greater than or equal to 60',
  },
  {
    name: 'SFTP without host keys',
    object: sftp({ hostKeys: undefined }),
    error: 'spec.sftp.hostKeys: Required value',
  },
  {
    name: 'SFTP with an empty list of host keys',
    object: sftp({ hostKeys: [] }),
    error: 'spec.sftp.hostKeys in body should have at least 1 items',
  },
  {
    name: 'a host key of 42 characters',
    object: sftp({ hostKeys: [hostKey.slice(0, -1)] }),
    error: 'must be a line as ssh-keyscan prints it',
  },
  {
    name: 'a host key with a carriage return',
    object: sftp({ hostKeys: ['ssh-ed25519 AAAAC3Nz comment\r'] }),
    error: 'must be a line as ssh-keyscan prints it',
  },
  {
    name: 'a comment of ssh-keyscan',
    object: sftp({ hostKeys: ['# sftp.example.com:22 SSH-2.0-OpenSSH_9.6', hostKey] }),
    error: 'leave out those that begin with #',
  },
  {
    name: 'a host key twice',
    object: sftp({ hostKeys: [hostKey, hostKey] }),
    error: 'spec.sftp.hostKeys[1]: Duplicate value',
  },
  {
    name: 'a port that is a text',
    object: sftp({ port: '22' }),
    error: 'spec.sftp.port in body must be of type',
  },
  {
    name: 'a port that is no whole number',
    object: sftp({ port: 22.5 }),
    error: 'spec.sftp.port in body must be of type',
  },
  { name: 'port 65536', object: sftp({ port: 65_536 }), error: 'should be less than or equal to 65535' },
  { name: 'a host with a blank', object: sftp({ host: 'a b' }), error: 'spec.sftp.host in body should match' },
  {
    name: 'a path with a NUL',
    object: directory({ path: '/a\0b' }),
    error: 'spec.directory.path in body should match',
  },
  { name: 'a path that climbs', object: directory({ path: '..' }), error: 'must not have . or .. as a segment' },
  { name: 'another bucket', old: s3(), object: s3({ bucket: 'others' }), error: 'bucket is immutable' },
  { name: 'a prefix that is added', old: s3(), object: s3({ prefix: 'x' }), error: 'prefix is immutable' },
  {
    name: 'an endpoint that is removed',
    old: s3({ endpoint: 'https://s3.example.com' }),
    object: s3(),
    error: 'endpoint is immutable',
  },
  { name: 'another kind of place', old: s3(), object: directory(), error: 'the kind of a location is immutable' },
  { name: 'another port than the default', old: sftp(), object: sftp({ port: 2222 }), error: 'port is immutable' },
  {
    name: 'another volume',
    old: directory({ claimName: 'a' }),
    object: directory({ claimName: 'b' }),
    error: 'claimName is immutable',
  },
];

const policies: readonly BadObject[] = [
  { name: 'a policy without spec', object: policy(undefined), error: 'spec: Required value' },
  { name: 'a policy whose spec is a text', object: policy('x'), error: 'must be of type object' },
  {
    name: 'a policy without destinations',
    object: withPolicy({ destinations: undefined }),
    error: 'spec.destinations: Required value',
  },
  {
    name: 'a policy with an empty list of destinations',
    object: withPolicy({ destinations: [] }),
    error: 'spec.destinations in body should have at least 1 items',
  },
  {
    name: 'nine destinations',
    object: withPolicy({ destinations: repeat(9, (i) => ({ location: `l${i}` })) }),
    error: 'spec.destinations: Too many: 9: must have at most 8 items',
  },
  {
    name: 'a destination twice',
    object: withPolicy({ destinations: [{ location: 'a' }, { location: 'a', required: false }] }),
    error: 'spec.destinations[1]: Duplicate value: {"location":"a"}',
  },
  { name: 'a destination that is null', object: withPolicy({ destinations: [null] }), error: 'spec.destinations[0]' },
  {
    name: 'a destination with capitals',
    object: withPolicy({ destinations: [{ location: 'A' }] }),
    error: 'spec.destinations[0].location in body should match',
  },
  { name: 'no databases', object: databases({}), error: 'exactly one of names and all: true must be set' },
  {
    name: 'all: false alone',
    object: databases({ all: false }),
    error: 'exactly one of names and all: true must be set',
  },
  {
    name: 'names and all',
    object: databases({ names: ['a'], all: true }),
    error: 'exactly one of names and all: true must be set',
  },
  { name: 'names and exclude', object: databases({ names: ['a'], exclude: ['b'] }), error: 'exclude goes with all' },
  {
    name: 'a database twice',
    object: databases({ names: ['a', 'b', 'a'] }),
    error: 'spec.source.postgres.databases.names[2]: Duplicate value: "a"',
  },
  { name: 'a database without name', object: databases({ names: [''] }), error: 'should be at least 1 chars long' },
  { name: 'a database name of 64 characters', object: databases({ names: ['d'.repeat(64)] }), error: 'Too long' },
  {
    name: '501 databases',
    object: databases({ names: repeat(501, (i) => `d${i}`) }),
    error: 'Too many: 501: must have at most 500 items',
  },
  {
    name: 'credentials without Secret',
    object: withPolicy({ source: source({ credentials: {} }) }),
    error: 'spec.source.postgres.credentials.secretName: Required value',
  },
  {
    name: 'a Secret with an underscore',
    object: withPolicy({ source: source({ credentials: { secretName: 'a_b' } }) }),
    error: 'secretName in body should match',
  },
  {
    name: 'an unknown TLS mode',
    object: withPolicy({ source: source({ tls: { mode: 'prefer' } }) }),
    error: 'Unsupported value: "prefer"',
  },
  {
    name: 'a schedule of four fields',
    object: withPolicy({ schedule: '0 3 * *' }),
    error: 'five fields (minute hour day month weekday)',
  },
  {
    name: 'a schedule of six fields',
    object: withPolicy({ schedule: '0 0 3 * * *' }),
    error: 'five fields (minute hour day month weekday)',
  },
  {
    name: 'a schedule with a no-break space',
    object: withPolicy({ schedule: '0 3 *\u00A0* *' }),
    error: 'five fields (minute hour day month weekday)',
  },
  {
    name: 'an unknown macro',
    object: withPolicy({ schedule: '@every 5m' }),
    error: 'five fields (minute hour day month weekday)',
  },
  {
    name: 'null where something is required',
    object: withPolicy({ destinations: null }),
    error: 'spec.destinations: Required value',
  },
  {
    name: 'a schedule that is a number',
    object: withPolicy({ schedule: 5 }),
    error: 'spec.schedule in body must be of type string',
  },
  {
    name: 'suspend as a text',
    object: withPolicy({ suspend: 'true' }),
    error: 'spec.suspend in body must be of type boolean',
  },
  {
    name: 'an unknown concurrency policy',
    object: withPolicy({ concurrencyPolicy: 'forbid' }),
    error: 'spec.concurrencyPolicy: Unsupported value: "forbid"',
  },
  {
    name: 'another way to read back',
    object: withPolicy({ verification: { readBack: 'sample' } }),
    error: 'spec.verification.readBack',
  },
  {
    name: 'gzip at level 10',
    object: withPolicy({ compression: { algorithm: 'gzip', level: 10 } }),
    error: 'level is 1–22 with zstd',
  },
  {
    name: 'a level without compression',
    object: withPolicy({ compression: { algorithm: 'none', level: 1 } }),
    error: 'level is 1–22 with zstd',
  },
  {
    name: 'a pattern with a line break',
    object: withPolicy({ dump: { tables: ['a\nb'] } }),
    error: 'spec.dump.tables[0] in body should match',
  },
  {
    name: 'an empty list of tables',
    object: withPolicy({ dump: { tables: [] } }),
    error: 'spec.dump.tables in body should have at least 1 items',
  },
  {
    name: 'a toleration of nothing',
    object: withRunner({ tolerations: [{ value: 'x' }] }),
    error: 'a toleration without key needs operator Exists',
  },
  {
    name: 'a second toleration of nothing',
    object: withRunner({ tolerations: [{ key: 'a' }, { operator: 'Equal' }] }),
    error: 'spec.runner.tolerations[1]: Invalid value',
  },
  {
    name: '33 labels',
    object: withRunner({ podLabels: Object.fromEntries(repeat(33, (i) => [`k${i}`, 'v'])) }),
    error: 'spec.runner.podLabels: Too many: 33: must have at most 32 items',
  },
  {
    name: 'a label key of 318 characters',
    object: withRunner({ podLabels: { ['k'.repeat(318)]: 'v' } }),
    error: 'a key has at most 317 characters',
  },
  {
    name: 'a label that no pod may have',
    object: withRunner({ podLabels: { team: 'data & more' } }),
    error: 'spec.runner.podLabels.team in body should match',
  },
  {
    name: 'a label that ends with a dash',
    object: withRunner({ podLabels: { team: 'data-' } }),
    error: 'spec.runner.podLabels.team in body should match',
  },
  {
    name: 'a node label of 64 characters',
    object: withRunner({ nodeSelector: { disk: 'v'.repeat(64) } }),
    error: 'spec.runner.nodeSelector.disk: Too long',
  },
  {
    name: 'an annotation of 1025 characters',
    object: withRunner({ podAnnotations: { k: 'v'.repeat(1025) } }),
    error: 'spec.runner.podAnnotations.k: Too long',
  },
  {
    name: 'a memory in MB',
    object: withRunner({ resources: { limits: { memory: '512MB' } } }),
    error: 'MB and GB are none',
  },
  {
    name: 'a resource that is no quantity',
    object: withRunner({ resources: { limits: { memory: '1 GB' } } }),
    error: 'must be a quantity as Kubernetes writes it, such as 500m, 2, 512Mi',
  },
  {
    name: 'a deadline of a second',
    object: withRunner({ deadlineSeconds: 1 }),
    error: 'should be greater than or equal to 30',
  },
  { name: 'eleven retries', object: withRunner({ retries: 11 }), error: 'should be less than or equal to 10' },
];

const backups: readonly BadObject[] = [
  { name: 'a backup without policy', object: backup({}), error: 'spec.policy: Required value' },
  {
    name: 'a slot without zone',
    object: backup({ policy: 'a', slot: '2026-01-01T03:00:00' }),
    error: 'spec.slot in body',
  },
  {
    name: 'a slot without seconds',
    object: backup({ policy: 'a', slot: '2026-01-01T03:00Z' }),
    error: 'spec.slot in body',
  },
  { name: 'a slot in the year 0', object: backup({ policy: 'a', slot: '0000-06-01T00:00:00Z' }), error: 'spec.slot' },
  { name: 'a list of slots', object: backup({ policy: 'a', slot: [time] }), error: 'spec.slot' },
  {
    name: 'a slot on a day that does not exist',
    object: backup({ policy: 'a', slot: '2026-02-29T03:00:00Z' }),
    error: 'spec.slot in body must be of type date-time',
  },
  {
    name: 'a slot in small letters',
    object: backup({ policy: 'a', slot: '2026-01-01t03:00:00z' }),
    error: 'spec.slot in body',
  },
  {
    name: 'a slot with an impossible offset',
    object: backup({ policy: 'a', slot: '2026-01-01T03:00:00+25:00' }),
    error: 'spec.slot in body',
  },
  {
    name: 'a found backup without key',
    object: backup({ policy: 'a', import: { location: 'l' } }),
    error: 'spec.import.key: Required value',
  },
  {
    name: 'another policy',
    old: backup({ policy: 'a' }),
    object: backup({ policy: 'b' }),
    error: 'the spec of a Backup is immutable',
  },
  {
    name: 'a slot that is added',
    old: backup({ policy: 'a' }),
    object: backup({ policy: 'a', slot: time }),
    error: 'the spec of a Backup is immutable',
  },
];

/** Refused by both. */
export const badObjects: readonly BadObject[] = [
  ...names,
  ...keys,
  ...signatures,
  ...unknownFields,
  ...locations,
  ...policies,
  ...backups,
  ...badRestores,
];
