import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startPodProcess } from '../../src/local/pod-process.ts';
import { systemClock } from '../../src/support/clock.ts';
import { lacksMounts, startHangingMount, type HangingMount } from '../servers/hanging-mount.ts';
import { makeTemporaryFolder } from '../servers/temporary-folder.ts';

const lack = await lacksMounts();
let folder: Awaited<ReturnType<typeof makeTemporaryFolder>>;
let mount: HangingMount;
beforeEach(async ({ skip }) => {
  skip(lack !== undefined, lack);
  folder = await makeTemporaryFolder();
  mount = await startHangingMount(join(folder.path, 'hanging'));
  await writeFile(join(mount.root, 'file'), 'bytes');
  await mkdir(join(folder.path, 'pod'));
});
afterEach(async () => {
  await mount?.stop();
  await folder?.remove();
});

function startPod(script: string, left: string[] = []) {
  return startPodProcess({
    argv: ['/bin/sh', '-c', script],
    env: { PATH: '/usr/bin:/bin' },
    folder: join(folder.path, 'pod'),
    logFile: join(folder.path, 'log'),
    clock: systemClock,
    onLeft: (processes) => left.push(...processes),
  });
}

describe('A process that hangs in the kernel', () => {
  test('is not waited for after SIGKILL: its pod ends, and names it', async () => {
    await mount.hang('open');
    const pod = startPod(`exec cat ${mount.path}/file`);
    while (!(await mount.met())) await delay(20);
    await pod.stop(100);
    const end = await pod.ended;
    expect(end).toMatchObject({ exitCode: 137, reason: 'Error' });
    expect(end.message).toMatch(/^process \d+ \(cat, waits in .+\) cannot be ended/);
  });

  test('and was left behind by one that ended is named, and not waited for either', async () => {
    await mount.hang('open');
    const left: string[] = [];
    const pod = startPod(
      `setsid cat ${mount.path}/file & while ! [ -e ${folder.path}/hanging/rule.met ]; do :; done; exit 3`,
      left,
    );
    expect(await pod.ended).toMatchObject({ exitCode: 3 });
    expect(left).toHaveLength(1);
    expect(left[0]).toContain('cat');
    expect(await readFile(join(folder.path, 'log'), 'utf8')).toBe('');
  });
});
