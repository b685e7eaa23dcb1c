import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { findBackups } from './found-backups.ts';
import { startLocalStand, writeFiles, type LocalStand } from './local-stand.ts';
import { until } from './executor-world.ts';

let stand: LocalStand;
beforeAll(async () => {
  stand = await startLocalStand();
});
afterAll(async () => stand.stop());
beforeEach(async () => {
  await rm(stand.disk, { recursive: true });
  await mkdir(stand.disk);
});

const once = (...more: readonly string[]) => ['local', '-', '--once', '--state-dir', stand.stateDir, ...more];
/** Server processes of dumps that wait for a table; none may be left behind. */
const dumping = async (): Promise<readonly number[]> =>
  (
    await stand.server.sql<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity WHERE datname = 'shop' AND wait_event_type = 'Lock'`,
    )
  ).map(({ pid }) => pid);
const untilItDumps = async () =>
  until('it dumps', async () => {
    const pids = await dumping();
    return pids.length > 0 && pids;
  });

const readLog = (): string =>
  readFileSync(join(stand.stateDir, 'operator.log'), 'utf8').split('controller works').at(-1) ?? '';

const stateOf = (pid: number | undefined): string | undefined => {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '')[0];
  } catch {
    return undefined;
  }
};

/** Processes that work somewhere below a folder. */
function processesIn(folder: string): readonly { readonly pid: number; readonly command: string }[] {
  return readdirSync('/proc').flatMap((entry) => {
    try {
      if (!readlinkSync(`/proc/${entry}/cwd`).startsWith(folder)) return [];
      return [{ pid: Number(entry), command: readFileSync(`/proc/${entry}/cmdline`, 'utf8') }];
    } catch {
      return [];
    }
  });
}

/** Nobody can dump the database until this is released. */
async function holdTable() {
  const { host, port, user, password } = stand.server;
  const client = new Client({ host, port, user, password, database: 'shop' });
  await client.connect();
  client.on('error', () => undefined);
  await client.query('BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE');
  let ending: Promise<void> | undefined;
  const release = async (): Promise<void> => (ending ??= client.end());
  return { release, [Symbol.asyncDispose]: release };
}

describe('pgbackup local --once', () => {
  it('backs up every policy of a folder, prints a table, leaves nothing behind and exits with 0', async () => {
    const files = join(stand.folder, 'files');
    await mkdir(files);
    await writeFiles(files, { 'all.yaml': stand.yaml() });
    const command = stand.start(['local', 'files', '--once', '--state-dir', stand.stateDir, '--debug']);
    expect(await command.exitCode, command.stderr()).toBe(0);

    const [backup, ...others] = findBackups(stand.disk);
    expect(others).toEqual([]);
    expect(backup).toMatchObject({ policy: 'nightly', databases: ['shop'] });
    const lines = command.stdout().split('\n');
    expect(lines[1]).toMatch(new RegExp(`^${backup?.id} +Succeeded +1/1 `));
    expect(lines[2]).toMatch(new RegExp(`^  ✓ disk: ${backup?.key}  sha256:[0-9a-f]{12}$`));
    expect(command.stdout() + command.stderr()).not.toContain('\u001B');
    expect(command.stderr()).toMatch(/\d\d:\d\d:\d\d  nightly-\d{8}t\d{6}z  Succeeded, /);
    expect(readdirSync(join(stand.stateDir, 'pods'))).toEqual([]);
    expect(readFileSync(join(stand.stateDir, 'operator.log'), 'utf8')).not.toContain(stand.server.password);
  });

  it('exits with 1 and says why when a backup fails', async () => {
    const wrong = stand.yaml().replace(JSON.stringify(stand.server.password), '"wrong"');
    const command = stand.start(once(), wrong);
    expect(await command.exitCode, command.stderr()).toBe(1);
    expect(command.stdout()).toMatch(/^nightly-\S+ +Failed /m);
    expect(command.stdout()).toMatch(/^  AuthenticationFailed: .*password authentication failed/m);
    expect(findBackups(stand.disk)).toEqual([]);
    const [log = ''] = readdirSync(join(stand.stateDir, 'failed'));
    expect(log).toMatch(/^pgb-nightly-.*\.log$/);
    expect(readFileSync(join(stand.stateDir, 'failed', log), 'utf8')).toContain('AuthenticationFailed');
    expect(command.stderr()).toContain(`logs of what failed: ${join(stand.stateDir, 'failed')}`);
  });

  it('starts nothing when a file is wrong', async () => {
    const command = stand.start(once(), stand.yaml('  compresion: {}\n'));
    expect(await command.exitCode).toBe(78);
    expect(command.stderr()).toBe(
      'error: <stdin>:26: unknown field "spec.compresion"\nhint: nothing was started; correct the files and try again\n',
    );
  });

  it('backs up only the policy that is named, also when it is suspended', async () => {
    const two = `${stand.yaml('  suspend: true\n')}---\n${stand.yaml().split('---\n')[2]?.replace('nightly', 'other')}`;
    const command = stand.start(once('--policy', 'nightly'), two);
    expect(await command.exitCode, command.stderr()).toBe(0);
    expect(findBackups(stand.disk).map(({ policy }) => policy)).toEqual(['nightly']);
  });

  it('lets only one operator work in a state folder', async () => {
    await using held = await holdTable();
    const first = stand.start(once(), stand.yaml());
    await untilItDumps();
    const second = stand.start(once(), stand.yaml());
    expect(await second.exitCode).toBe(73);
    expect(second.stderr()).toContain('error: another pgbackup local works in ');
    await held.release();
    expect(await first.exitCode, first.stderr()).toBe(0);
  });
});

describe('pgbackup local', () => {
  it('keeps running, tells of a location that cannot be used, serves metrics, and ends well at SIGTERM', async () => {
    const lost = stand.yaml('  schedule: "@yearly"\n').replace(JSON.stringify(stand.disk), '"/nowhere/at/all"');
    const command = stand.start(['local', '-', '--state-dir', stand.stateDir, '--metrics-port', '0'], lost);
    const url = await until('metrics', async () => /metrics: (\S+)/.exec(command.stderr())?.[1]);
    await until('the policy is in the metrics', async () =>
      (await (await fetch(url)).text()).includes('pgbackup_policy_info{'),
    );
    await until('the trouble is told', async () => command.stderr().includes('location disk  StorageMissing: '));
    command.child.kill('SIGTERM');
    expect(await command.exitCode, command.stderr()).toBe(0);
    expect(readdirSync(join(stand.stateDir, 'pods'))).toEqual([]);
  });
});

describe('a run that is broken off', () => {
  it('by SIGINT leaves nothing in storage, no process and no Secret, and says so', async () => {
    await using _ = await holdTable();
    const command = stand.start(once(), stand.yaml());
    await untilItDumps();
    command.child.kill('SIGINT');
    expect(await command.exitCode, command.stderr()).toBe(1);
    expect(
      readdirSync(stand.disk, { recursive: true }).filter(
        (name) => !String(name).endsWith('nightly') && name !== 'default',
      ),
    ).toEqual([]);
    expect(await dumping()).toEqual([]);
    expect(readdirSync(join(stand.stateDir, 'pods'))).toEqual([]);
  });

  it('is killed by a second SIGINT when it does not end', async () => {
    await using _ = await holdTable();
    const command = stand.start(once(), stand.yaml());
    await untilItDumps();
    const runners = processesIn(join(stand.stateDir, 'pods')).filter(({ command }) => command.includes('main.ts'));
    expect(runners).toHaveLength(1);
    for (const { pid } of runners) process.kill(pid, 'SIGSTOP');
    command.child.kill('SIGINT');
    await until('it ends its runners', async () => readLog().includes('controller has stopped'));
    command.child.kill('SIGINT');
    expect(await command.exitCode).toBe(130);
    await until('pg_dump is gone too', async () => processesIn(join(stand.stateDir, 'pods')).length === 0);
    await until('the runner is gone', async () => runners.every(({ pid }) => stateOf(pid) === undefined));
    expect(findBackups(stand.disk)).toEqual([]);
  });

  it('by SIGKILL of the operator is cleared up by the next start', async () => {
    await using held = await holdTable();
    const killed = stand.start(once(), stand.yaml());
    const before = await untilItDumps();
    killed.child.kill('SIGKILL');
    await killed.exitCode;
    expect(readdirSync(join(stand.stateDir, 'pods'))).not.toEqual([]);
    const next = stand.start(once(), stand.yaml());
    await until('another dump', async () => {
      const now = await dumping();
      return now.length > 0 && now.every((pid) => !before.includes(pid));
    });
    await held.release();
    expect(await next.exitCode, next.stderr()).toBe(0);
    expect(findBackups(stand.disk)).toHaveLength(1);
    expect(readdirSync(join(stand.stateDir, 'pods'))).toEqual([]);
    expect(await dumping()).toEqual([]);
  });
});
