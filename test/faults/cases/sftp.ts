import { join } from 'node:path';
import type { FailureReason } from '../../../src/api/reasons.ts';
import { startSshd } from '../../servers/sshd.ts';
import type { Arranged, Expected, FaultCase } from '../fault-case.ts';
import type { FaultStand, FolderOptions, SftpPlace } from '../fault-stand.ts';
import { backupNamed, until } from '../waiting.ts';
import { growTmpfs, linkFolder, mountTmpfs } from '../mounts.ts';
import type { SftpRule } from '../sftp-subsystem.ts';
import type { TcpPlan } from '../tcp-proxy.ts';

const good: Expected = { succeeded: 'True', reason: 'Succeeded', destinations: ['Stored'] };
const bad = (reason: FailureReason): Expected => ({ succeeded: 'False', reason, destinations: [reason] });
const none = async (): Promise<void> => undefined;

async function arrangePlace(
  stand: FaultStand,
  name: string,
  more: (place: SftpPlace) => Partial<Arranged>,
  options: FolderOptions = {},
): Promise<Arranged> {
  const place = await stand.makeSftp(name, options);
  return {
    places: [place],
    postgres: await stand.postgresProxy(),
    databases: ['big'],
    lift: none,
    ...more(place),
  };
}

/** The server misbehaves at a request. */
const ruled = (name: string, fault: string, rule: SftpRule, expected: Expected, dump?: 'large'): FaultCase => ({
  name: `sftp-${name}`,
  room: 'sftp',
  fault,
  ...(dump === undefined ? {} : { dump }),
  arrange: (stand, key) =>
    arrangePlace(stand, key, (place) => ({
      databases: [dump ?? 'big'],
      arm: () => place.rule(rule),
      met: async () => rule.answer === undefined || (await place.met()) > 0,
      lift: () => place.rule({}),
    })),
  expect: expected,
});

/** The network does. */
const planned = (name: string, fault: string, plan: TcpPlan, expected: Expected, dump?: 'large'): FaultCase => ({
  name: `sftp-${name}`,
  room: 'sftp',
  fault,
  ...(dump === undefined ? {} : { dump }),
  arrange: (stand, key) =>
    arrangePlace(stand, key, ({ proxy }) => ({
      databases: [dump ?? 'big'],
      arm: async () => {
        proxy.plan = () => plan;
      },
      met: () => plan.cut === undefined || proxy.cuts() > 0,
      lift: async () => {
        proxy.plan = () => ({});
      },
    })),
  expect: expected,
});

const middle = 5_000_000;
const manyWrites = 20;

export const sftpCases: readonly FaultCase[] = [
  planned(
    'reset-mid-write',
    'the connection is reset after 150 MB',
    { cut: { toServer: 150_000_000, how: 'reset' } },
    bad('StorageUnreachable'),
    'large',
  ),
  planned(
    'close-mid-write',
    'the connection is closed after 5 MB',
    { cut: { toServer: middle, how: 'close' } },
    bad('StorageUnreachable'),
  ),
  planned('slow-acknowledgements', 'each answer comes 10 ms late', { answerDelayMs: 10 }, good),
  planned('slow-network', 'bytes pass at 20 MB/s', { bytesPerSecond: 20_000_000 }, good),
  ruled(
    'server-dies-mid-write',
    'the SFTP server dies at its twentieth write',
    { on: 'write', index: manyWrites, answer: 'disconnect' },
    bad('StorageUnreachable'),
  ),
  ruled(
    'write-fails',
    'a write is answered with a failure',
    { on: 'write', index: manyWrites, answer: { status: 4, message: 'Failure' } },
    bad('StorageFailed'),
  ),
  ruled(
    'write-over-quota',
    'a write is answered with "Disk quota exceeded"',
    { on: 'write', index: manyWrites, answer: { status: 4, message: 'Disk quota exceeded' } },
    bad('StorageFull'),
  ),
  ruled(
    'disconnect-at-fsync',
    'the connection ends at the fsync',
    { on: 'fsync@openssh.com', answer: 'disconnect' },
    bad('StorageUnreachable'),
  ),
  ruled(
    'fsync-fails',
    'an fsync is answered with a failure, after one that worked',
    { on: 'fsync@openssh.com', index: 1, answer: { status: 4, message: 'Failure' } },
    bad('StorageFailed'),
  ),
  ruled(
    'fsync-refused',
    'fsync is offered, and answered with a failure always',
    { on: 'fsync@openssh.com', always: true, answer: { status: 4, message: 'Failure' } },
    good,
  ),
  ruled(
    'disconnect-before-rename',
    'the connection ends before the finished file gets its name',
    { on: 'hardlink@openssh.com', answer: 'disconnect' },
    bad('StorageUnreachable'),
    'large',
  ),
  ruled(
    'disconnect-before-manifest',
    'the connection ends each time before the manifest is linked to its name',
    { on: 'hardlink@openssh.com', about: 'manifest.json', always: true, answer: 'disconnect' },
    bad('StorageUnreachable'),
  ),
  ruled(
    'permission-denied',
    'creating files is answered with "permission denied"',
    { on: 'mkdir', always: true, answer: { status: 3, message: 'Permission denied' } },
    bad('StorageDenied'),
  ),
  ruled('no-rename-extension', 'the server has no posix-rename', { hide: ['posix-rename@openssh.com'] }, good),
  ruled(
    'no-link-and-sync-extensions',
    'the server has neither hardlink nor fsync',
    { hide: ['hardlink@openssh.com', 'fsync@openssh.com'] },
    good,
  ),
  ruled(
    'no-extension',
    'the server has no extension at all',
    { hide: ['posix-rename@openssh.com', 'hardlink@openssh.com', 'fsync@openssh.com'] },
    good,
  ),
  {
    name: 'sftp-host-key-changed',
    room: 'sftp',
    fault: 'another server answers, with another host key',
    arrange: async (stand, name) => {
      const other = await startSshd({ dir: join(stand.folder, `${name}-other`) });
      stand.onStop(() => other.stop());
      return arrangePlace(stand, name, ({ proxy, sshd }) => ({
        arm: async () => proxy.retarget(other),
        lift: async () => proxy.retarget(sshd),
      }));
    },
    expect: bad('HostKeyMismatch'),
  },
  {
    name: 'sftp-wrong-key',
    room: 'sftp',
    fault: 'the private key in the Secret is not authorised',
    arrange: async (stand, name) => {
      const other = await startSshd({ dir: join(stand.folder, `${name}-other`) });
      stand.onStop(() => other.stop());
      return arrangePlace(stand, name, ({ sshd }) => ({
        arm: () => stand.putSecret(name, { username: sshd.username, privateKey: other.privateKey }),
        lift: () => stand.putSecret(name, { username: sshd.username, privateKey: sshd.privateKey }),
      }));
    },
    expect: bad('StorageCredentialsInvalid'),
  },
  {
    name: 'sftp-path-missing',
    room: 'sftp',
    fault: 'the folder is not there',
    arrange: async (stand, name) => {
      const { root, path, link, unlink } = await linkFolder(stand, name);
      return arrangePlace(stand, name, () => ({ arm: unlink, lift: link }), { root, path });
    },
    expect: bad('StorageMissing'),
  },
  {
    name: 'sftp-disk-full',
    room: 'sftp',
    needsRoot: true,
    fault: 'the disk of the server is full in the middle of a file (the answer says no more than "failure")',
    arrange: async (stand, name) => {
      const root = await mountTmpfs(stand, name, '7m');
      return arrangePlace(stand, name, () => ({ lift: () => growTmpfs(root, '200m') }), { root });
    },
    expect: bad('StorageFull'),
  },
  {
    name: 'sftp-refused',
    room: 'sftp',
    fault: 'nothing listens where the server should be',
    arrange: (stand, name) =>
      arrangePlace(stand, name, ({ proxy }) => ({ arm: () => proxy.refuse(), lift: () => proxy.accept() })),
    expect: bad('StorageUnreachable'),
  },
  {
    name: 'sftp-comes-late',
    room: 'sftp',
    fault: 'nothing listens at first; the server comes while the run waits for it',
    arrange: (stand, name) =>
      arrangePlace(stand, name, ({ proxy }) => ({
        spec: { runner: { waitForServerSeconds: 300 } },
        arm: () => proxy.refuse(),
        during: async ({ backup, isOver }) => {
          await until('the run says that it waits', () => {
            const found = backupNamed(stand.operator, backup);
            if (isOver()) throw new Error(`it ended: ${JSON.stringify(found?.status)}`);
            return found?.status?.conditions?.some(({ reason }) => reason === 'WaitingForServer');
          });
          await proxy.accept();
        },
      })),
    expect: good,
  },
];
