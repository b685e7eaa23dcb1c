import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startSshd, type Sshd } from '../servers/sshd.ts';
import { keepBackupDiary, type BackupDiary } from './backup-diary.ts';
import type { ClusterScene } from './cluster-scene.ts';
import { document, until } from './cluster-user.ts';
import { openDumpDrop } from './dump-drop.ts';
import { listRequests, reasonOf, restoreTarget, slotOfRequest, suspendRestores } from './restore-parts.ts';

/** How much too late its server comes, in ms. */
export const lateBy = 120_000;
/** The file that is left later. */
export const newer = 'shop-0.zip';
/** Below the ports that the system gives to anybody: nobody takes it before the server comes. */
const latePort = 22_022;

/** Restores by a schedule that go on while other cases are tried. */
export interface Restoring {
  readonly diary: BackupDiary;
  readonly newestBytes: number;
  /** A newer file, after the first has been restored once, and found unchanged once. */
  readonly newer: Promise<{
    readonly bytes: number;
    readonly leftAt: number;
    /** Right before it: what the target held, and what the policy said. */
    readonly before: { readonly rows: readonly object[]; readonly status: unknown };
  }>;
  /** The slot whose server comes too late. */
  readonly lateSlot: () => Promise<number>;
  /** The server that comes too late. */
  readonly late: Promise<Sshd>;
}

/** Files, places, and the policies `refresh` and `rival` in the namespace `restore`, `late` in the namespace `late`. */
export async function beginRestoring({ user, stand }: ClusterScene): Promise<Restoring> {
  const { server, node } = stand;
  const folder = join(stand.folder, 'drop');
  await mkdir(folder);
  const drop = await openDumpDrop(server, folder, 'elsewhere');
  // By name the newest is neither the first nor the last.
  await drop.leave('shop-3.zip', 100, 'archive', 3000);
  await drop.leave('shop-1.zip', 110, 'sql.gz', 2000);
  const newestBytes = await drop.leave('shop-2.zip', 200, 'archive', 1000);
  await drop.leave('else-9.zip', 10, 'archive');
  for (const target of ['staging', 'tardy']) {
    await server.sql(`CREATE DATABASE ${target}`);
    await server.sql('CREATE TABLE of_yesterday (i int)', target);
  }

  // Its keys are made now, and known to who asks for it.
  const options = { dir: join(stand.folder, 'late-ssh'), address: node.address, port: latePort };
  const sshd = await startSshd(options);
  await sshd.stop();
  for (const name of ['restore', 'late']) await user.makeNamespace(name);
  const diary = keepBackupDiary(node, 'pgrr');
  const login = { username: sshd.username, privateKey: sshd.privateKey };
  await user.apply('late', document('Secret', 'late-login', { stringData: login }, 'v1'));
  const place = (name: string, sftp: object): object =>
    document('BackupLocation', name, { spec: { accessMode: 'ReadOnly', sftp: { ...sftp, path: folder } } });
  const [known] = await user
    .list('restore', 'pgbl')
    .then((all) => all.filter(({ metadata }) => metadata.name === 'sftp'));
  await user.apply('restore', place('drop', known?.spec?.['sftp'] as object));
  await user.apply(
    'late',
    place('drop', {
      host: sshd.host,
      port: sshd.port,
      credentials: { secretName: 'late-login' },
      hostKeys: sshd.hostKeys,
    }),
  );
  const policy = (name: string, port: number, database: string, more: object = {}): object =>
    document('RestorePolicy', name, {
      spec: {
        schedule: '* * * * *',
        successfulRestoresHistoryLimit: 50,
        failedRestoresHistoryLimit: 50,
        template: {
          spec: {
            source: { file: { location: 'drop', pattern: 'shop-*.zip' } },
            target: restoreTarget({ host: node.address, port }, database),
            afterSql: [`UPDATE orders SET note = 'masked'`],
            checks: [
              { sql: 'SELECT count(*) FROM orders', operator: 'GreaterOrEqual', value: '100' },
              { sql: `SELECT count(*) FROM orders WHERE note <> 'masked'`, value: '0' },
            ],
          },
        },
        ...more,
      },
    });
  const port = await stand.openDoor();
  await user.apply(
    'restore',
    policy('refresh', port, 'staging'),
    policy('rival', port, 'staging', { whenUnchanged: 'Restore' }),
  );
  await user.apply('late', policy('late', await stand.openDoor(), 'tardy'));

  let slot: Promise<number> | undefined;
  const lateSlot = async (): Promise<number> =>
    (slot ??= until('a slot of the late policy', 90, async () => {
      const [first] = await user.list('late', 'pgrr');
      return first === undefined ? undefined : slotOfRequest(first);
    }));
  const comeLate = async (): Promise<Sshd> => {
    await delay((await lateSlot()) + lateBy - Date.now());
    return startSshd(options);
  };
  // When the rival has been seen at work it goes, so that nothing keeps the next slot from being that of the newer file.
  const comeNewer = async (): Restoring['newer'] => {
    await until('one restored, one unchanged, one of the rival', 240, async () => {
      const reasons = (await listRequests(user, 'restore', 'refresh')).map(reasonOf);
      const hasRival = (await listRequests(user, 'restore', 'rival')).some((each) => reasonOf(each) === 'Restored');
      return hasRival && reasons.includes('Restored') && reasons.includes('Unchanged') ? true : undefined;
    });
    await suspendRestores(user, 'restore', 'rival');
    await until('the rival ends', 90, async () =>
      (await listRequests(user, 'restore', 'rival')).every(({ status }) => status?.['completedAt']) ? true : undefined,
    );
    const before = {
      rows: await server.sql(`SELECT count(*)::int AS rows, min(note) AS note FROM orders`, 'staging'),
      status: (await user.get('restore', 'pgrp', 'refresh')).status,
    };
    return { before, bytes: await drop.leave(newer, 300, 'sql.gz'), leftAt: Date.now() };
  };
  const [late, newerFile] = [comeLate(), comeNewer()];
  // Both are awaited later.
  for (const each of [late, newerFile]) each.catch(() => undefined);
  return { diary, newestBytes, newer: newerFile, lateSlot, late };
}
