import { spawn } from 'node:child_process';
import { existsSync, readlinkSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { resources } from '../../src/controller/resources.ts';
import { choosePolicies, withoutSchedules } from '../../src/local/choose-policies.ts';
import type { LoadedObject } from '../../src/local/loaded-object.ts';
import { openLocalClient } from '../../src/local/open-client.ts';
import { endStrays } from '../../src/local/stray-processes.ts';
import { podType } from '../../src/local/workload-types.ts';
import { systemClock, systemRandom } from '../../src/support/clock.ts';
import { never, until } from './executor-world.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pgbackup-pieces-'));
});
afterEach(async () => rm(folder, { recursive: true }));

const loaded = (kind: string, name: string, spec: object = {}, namespace = 'default'): LoadedObject => ({
  origin: 'a.yaml:1',
  object: { apiVersion: 'pgbackup.dev/v1beta1', kind, metadata: { name, namespace }, spec },
});

describe('processes that a killed operator left behind', () => {
  it('are asked to stop, then killed; others are left alone', async () => {
    const pod = join(folder, 'pod');
    const beside = join(folder, 'pod-2');
    await Promise.all([mkdir(pod), mkdir(beside)]);
    const start = (cwd: string, script: string) =>
      spawn('/bin/sh', ['-c', script], { cwd, detached: true, stdio: 'ignore' });
    const polite = start(pod, 'trap "exit 0" TERM; touch up-1; while :; do sleep 0.05; done');
    const deaf = start(pod, 'trap "" TERM; touch up-2; while :; do sleep 0.05; done');
    const other = start(beside, 'touch up; while :; do sleep 0.05; done');
    try {
      const files = ['pod/up-1', 'pod/up-2', 'pod-2/up'];
      await until('all run', async () => files.every((file) => existsSync(join(folder, file))));
      const exits = Promise.all(
        [polite, deaf].map(
          async (child) => new Promise((resolve) => child.once('exit', (code, signal) => resolve(signal ?? code))),
        ),
      );
      await endStrays(pod, 300, systemClock);
      expect(await exits).toEqual([0, 'SIGKILL']);
      expect(readlinkSync(`/proc/${other.pid}/cwd`)).toBe(beside);
    } finally {
      other.kill('SIGKILL');
    }
  });
});

describe('objects without Kubernetes', () => {
  const open = () => openLocalClient({ clock: systemClock, random: systemRandom, readLog: async () => '' });
  const policy = {
    ...loaded('BackupPolicy', 'nightly').object,
    spec: {
      source: { postgres: { host: 'db', credentials: { secretName: 'db' }, databases: { all: true } } },
      destinations: [{ location: 'disk' }],
    },
  };

  it('of our kinds always have the same uid, others never', async () => {
    const uids = await Promise.all(
      [open(), open()].map(async (client) => {
        const made = await client.create(resources.policy, policy, never);
        const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'x', namespace: 'default' }, spec: {} };
        return [made.metadata.uid, (await client.create(podType, pod, never)).metadata.uid];
      }),
    );
    // Frozen: backups in storage carry it.
    expect(uids.map(([ours]) => ours)).toEqual(Array(2).fill('b0dafa6b-aaef-565a-8e8a-4c55cb10c334'));
    expect(uids[0]?.[1]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(uids[0]?.[1]).not.toBe(uids[1]?.[1]);
  });

  it('are validated as in a cluster', async () => {
    const wrong = { ...policy, spec: { ...policy.spec, destination: [] } };
    await expect(open().create(resources.policy, wrong, never)).rejects.toMatchObject({
      code: 'Invalid',
      message: expect.stringContaining('unknown field "spec.destination"'),
    });
  });
});

describe('choosing policies', () => {
  const objects = [
    loaded('Secret', 's'),
    loaded('BackupPolicy', 'a', { schedule: '@daily', suspend: false }),
    loaded('BackupPolicy', 'b', { suspend: true }),
    loaded('BackupPolicy', 'a', {}, 'shop'),
    loaded('Backup', 'manual', { policy: 'b' }),
  ];
  const names = (some: readonly LoadedObject[]) =>
    some.map(({ object: { kind, metadata } }) => `${kind} ${metadata.namespace}/${metadata.name}`);

  it('takes all, and backs up those that are not suspended', () => {
    const { objects: kept, policies } = choosePolicies(objects, [], true);
    expect(kept).toEqual(objects);
    expect(names(policies)).toEqual(['BackupPolicy default/a', 'BackupPolicy shop/a']);
  });
  it('takes those that are named, in one namespace or all, also suspended ones, and nothing of others', () => {
    expect(names(choosePolicies(objects, ['a'], true).policies)).toEqual([
      'BackupPolicy default/a',
      'BackupPolicy shop/a',
    ]);
    expect(names(choosePolicies(objects, ['shop/a'], true).objects)).toEqual([
      'Secret default/s',
      'BackupPolicy shop/a',
    ]);
    expect(names(choosePolicies(objects, ['b'], true).objects)).toEqual([
      'Secret default/s',
      'BackupPolicy default/b',
      'Backup default/manual',
    ]);
  });
  it('names what there is when a name is unknown', () => {
    expect(() => choosePolicies(objects, ['a', 'c'], true)).toThrow(
      expect.objectContaining({ reason: 'PolicyMissing', hint: 'they have default/a, default/b, shop/a' }),
    );
  });
  it('never runs a RestoreRequest, keeps schedules of restores, and leaves those out of a single run', () => {
    const restores = [...objects, loaded('RestoreRequest', 'now'), loaded('RestorePolicy', 'nightly')];
    const kept = choosePolicies(restores, [], false);
    expect(names(kept.objects)).toEqual([...names(objects), 'RestorePolicy default/nightly']);
    expect(kept.leftOut).toEqual(['RestoreRequest now is not run here: use pgbackup local restore']);
    expect(names(choosePolicies(restores, ['nightly'], false).objects)).toEqual([
      'Secret default/s',
      'RestorePolicy default/nightly',
    ]);
    const once = choosePolicies(restores, [], true);
    expect(once.objects).toEqual(objects);
    expect(once.leftOut).toContain('RestorePolicy nightly is left out: --once only backs up');
    expect(() => choosePolicies(restores, ['nightly'], true)).toThrow('there is no policy nightly');
  });
  it('takes schedules away for a single run, and nothing else', () => {
    expect(withoutSchedules(objects)[1]?.object.spec).toEqual({ suspend: false });
    expect(withoutSchedules(objects)[4]).toBe(objects[4]);
  });
});
