import { existsSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { jobType, podType, secretType, type JobSpec, type Pod } from '../../src/local/workload-types.ts';
import { conditionOf, never, openExecutorWorld, until, type ExecutorWorld } from './executor-world.ts';

const ended = async (world: ExecutorWorld, type: 'Complete' | 'Failed') =>
  until(`job ${type}`, async () => {
    const job = await world.job();
    return conditionOf(job, type)?.status === 'True' && job;
  });
const terminatedOf = (pod: Pod | undefined) => pod?.status?.containerStatuses?.[0]?.state.terminated;
const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}/cwd`) && processState(pid) !== 'gone';
const processState = (pid: number): string => {
  try {
    process.kill(pid, 0);
    return 'there';
  } catch {
    return 'gone';
  }
};

const policy: Partial<JobSpec> = {
  podFailurePolicy: {
    rules: [
      { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
      { action: 'FailJob', onExitCodes: { containerName: 'runner', operator: 'In', values: [1, 3, 64, 65] } },
      { action: 'Count', onExitCodes: { containerName: 'runner', operator: 'NotIn', values: [0] } },
    ],
  },
};

describe('a Job without Kubernetes', () => {
  it('completes when its process exits with 0, and keeps verdict and log', async () => {
    await using world = await openExecutorWorld();
    await world.runJob('echo hello; echo trouble >&2; printf verdict > "$PGBACKUP_TERMINATION_MESSAGE"');
    const job = await ended(world, 'Complete');
    expect(job.status).toMatchObject({ succeeded: 1, failed: 0, active: 0 });
    expect(job.status?.completionTime).toMatch(/^\d{4}-.*\dZ$/);
    const [pod] = await world.pods();
    expect(pod?.status?.phase).toBe('Succeeded');
    expect(terminatedOf(pod)).toMatchObject({ exitCode: 0, reason: 'Completed', message: 'verdict' });
    expect(pod?.metadata.ownerReferences).toMatchObject([{ kind: 'Job', name: 'job', controller: true }]);
    expect(pod?.metadata.finalizers ?? []).toEqual([]);
    expect(await world.log(pod)).toBe('hello\ntrouble\n');
  });

  it('fails at once with an exit code that the failure policy calls final', async () => {
    await using world = await openExecutorWorld();
    await world.runJob('exit 64', policy);
    const job = await ended(world, 'Failed');
    expect(conditionOf(job, 'Failed')).toMatchObject({
      reason: 'PodFailurePolicy',
      message: expect.stringContaining('exit code 64 matching FailJob rule at index 1'),
    });
    expect(conditionOf(job, 'FailureTarget')?.reason).toBe('PodFailurePolicy');
    expect(await world.pods()).toHaveLength(1);
  });

  it('tries again after a transient exit code until the back-off limit, with a pod each', async () => {
    await using world = await openExecutorWorld();
    await world.runJob('exit 75', { ...policy, backoffLimit: 2 });
    const job = await ended(world, 'Failed');
    expect(conditionOf(job, 'Failed')?.reason).toBe('BackoffLimitExceeded');
    expect(job.status?.failed).toBe(3);
    const pods = await world.pods();
    expect(pods.map((pod) => terminatedOf(pod)?.exitCode)).toEqual([75, 75, 75]);
    expect(new Set(pods.map((pod) => pod.metadata.name)).size).toBe(3);
  });

  it('succeeds when a retry does', async () => {
    await using world = await openExecutorWorld();
    const mark = join(world.folder, '..', 'mark');
    await world.runJob(`test -e ${mark} && exit 0; touch ${mark}; exit 75`, policy);
    const job = await ended(world, 'Complete');
    expect(job.status).toMatchObject({ succeeded: 1, failed: 1 });
  });

  it('ends its process and fails when its deadline is over', async () => {
    await using world = await openExecutorWorld();
    await world.runJob('echo $$; exec sleep 600', { activeDeadlineSeconds: 2 });
    const pid = await until('a pid', async () => Number(await world.log((await world.pods())[0])) || undefined);
    const job = await ended(world, 'Failed');
    expect(conditionOf(job, 'Failed')?.reason).toBe('DeadlineExceeded');
    expect(isAlive(pid)).toBe(false);
    await until('no pods', async () => (await world.pods()).length === 0);
  });

  it('takes its pods, processes and folders with it when it is deleted', async () => {
    await using world = await openExecutorWorld();
    await world.runJob('trap "echo stopping; exit 75" TERM; echo $$; while :; do sleep 0.05; done');
    const pid = await until('a pid', async () => Number(await world.log((await world.pods())[0])) || undefined);
    expect(isAlive(pid)).toBe(true);
    await world.client.delete(jobType, 'default', 'job', {}, never);
    await until('no pods', async () => (await world.pods()).length === 0);
    expect(isAlive(pid)).toBe(false);
    await until('no folder', async () => (await readdir(world.folder)).length === 0);
  });
});

describe('a pod as a process', () => {
  it('is asked with SIGTERM, and its answer is kept', async () => {
    await using world = await openExecutorWorld();
    await world.runJob(
      'trap "printf aborted > $PGBACKUP_TERMINATION_MESSAGE; exit 75" TERM; echo up; while :; do sleep 0.05; done',
      { backoffLimit: 0 },
    );
    const pod = await until('a running pod', async () => {
      const [first] = await world.pods();
      return first !== undefined && (await world.log(first)) !== '' && first;
    });
    // Somebody else's finalizer keeps the object, so that its end can be looked at.
    await until('held', async () => {
      const now = (await world.client.get(podType, 'default', pod.metadata.name ?? '', never)) as Pod;
      const finalizers = [...(now.metadata.finalizers ?? []), 'test/hold'];
      return world.client
        .put(podType, { ...now, metadata: { ...now.metadata, finalizers } }, never)
        .catch(() => undefined);
    });
    await world.client.delete(podType, 'default', pod.metadata.name ?? '', {}, never);
    const stopped = await until('an end', async () => {
      const now = (await world.client.get(podType, 'default', pod.metadata.name ?? '', never)) as Pod;
      return now.status?.phase === 'Failed' && now;
    });
    expect(terminatedOf(stopped)).toMatchObject({ exitCode: 75, reason: 'Error', message: 'aborted' });
  });

  it('is killed, with all it started in sessions of its own, when it does not listen', async () => {
    await using world = await openExecutorWorld({ graceMs: 200 });
    await world.runJob('trap "" TERM; setsid sleep 600 & echo $! $$; while :; do sleep 0.05; done');
    const pids = await until('pids', async () => {
      const [first] = await world.pods();
      const text = await world.log(first);
      return text.endsWith('\n') && text.trim().split(' ').map(Number);
    });
    expect(pids.map(isAlive)).toEqual([true, true]);
    await world.client.delete(jobType, 'default', 'job', {}, never);
    await until('no pods', async () => (await world.pods()).length === 0);
    expect(pids.map(isAlive)).toEqual([false, false]);
  });

  it('tells the signal that ended it', async () => {
    await using world = await openExecutorWorld();
    await world.runJob('kill -KILL $$', { backoffLimit: 0 });
    await ended(world, 'Failed');
    expect(terminatedOf((await world.pods())[0])).toMatchObject({ exitCode: 137, signal: 9, reason: 'Error' });
  });

  it('keeps the first 4096 bytes of its termination message', async () => {
    await using world = await openExecutorWorld();
    await world.runJob('head -c 6000 /dev/zero | tr "\\0" x > "$PGBACKUP_TERMINATION_MESSAGE"');
    await ended(world, 'Complete');
    expect(terminatedOf((await world.pods())[0])?.message).toBe('x'.repeat(4096));
  });

  it('finds Secrets, fields and empty folders where it mounts them, and nothing of this process in its environment', async () => {
    await using world = await openExecutorWorld();
    await world.client.create(secretType, secret({ password: 'hunter2' }), never);
    await world.runJob(
      'cd "$PGBACKUP_ROOT"; cat secrets/db/password task/task.json; echo; cat task/pod-uid; echo; touch work/x; stat -c %a secrets/db/password secrets/db; env | sort',
      {},
      mounts(true),
    );
    await ended(world, 'Complete');
    const [pod] = await world.pods();
    const folder = join(world.folder, (await readdir(world.folder))[0] ?? '');
    expect((await world.log(pod)).split('\n').filter((line) => !/^(PWD|OLDPWD|SHLVL|_)=/.test(line))).toEqual([
      'hunter2{"task":1}',
      pod?.metadata.uid,
      '600',
      '700',
      `HOME=${folder}`,
      'LANG=C.UTF-8',
      'PATH=/usr/bin:/bin',
      `PGBACKUP_ROOT=${folder}/run/pgbackup`,
      `PGBACKUP_TERMINATION_MESSAGE=${folder}/termination-message`,
      `TMPDIR=${folder}/tmp`,
      '',
    ]);
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
    expect(await readdir(folder), 'Secrets go with the process').toEqual(['log']);
  });

  it('sees an optional Secret that appears, changes and vanishes while it runs', async () => {
    await using world = await openExecutorWorld();
    const file = '"$PGBACKUP_ROOT"/secrets/db/password';
    await world.runJob(
      `while ! test -e ${file}; do sleep 0.02; done; cat ${file}; echo; while ! grep -q second ${file}; do sleep 0.02; done; cat ${file}; echo; while test -e ${file}; do sleep 0.02; done; echo gone`,
      {},
      mounts(true),
    );
    await until('running', async () => (await world.pods())[0]?.status?.phase === 'Running');
    const made = await world.client.create(secretType, secret({ password: 'first' }), never);
    const log = async () => world.log((await world.pods())[0]);
    await until('first', async () => (await log()).includes('first'));
    await world.client.put(secretType, { ...made, ...secret({ password: 'second' }), metadata: made.metadata }, never);
    await until('second', async () => (await log()).includes('second'));
    await world.client.delete(secretType, 'default', 'db', {}, never);
    await ended(world, 'Complete');
    expect(await log()).toBe('first\nsecond\ngone\n');
  });

  it('waits for a Secret that is not optional, and says so', async () => {
    await using world = await openExecutorWorld();
    await world.runJob('cat "$PGBACKUP_ROOT"/secrets/db/password', {}, mounts(false));
    const waiting = await until('waiting', async () => {
      return (await world.pods())[0]?.status?.containerStatuses?.[0]?.state.waiting;
    });
    expect(waiting).toEqual({ reason: 'CreateContainerConfigError', message: 'secret "db" not found' });
    await world.client.create(secretType, secret({ password: 'late' }), never);
    await ended(world, 'Complete');
    expect(await world.log((await world.pods())[0])).toBe('late');
  });

  it('does not start with a volume that only a cluster has, and says which', async () => {
    await using world = await openExecutorWorld();
    await world.runJob(
      'exit 0',
      {},
      {
        containers: [{ name: 'runner', args: ['exit 0'], volumeMounts: [{ name: 'disk', mountPath: '/backups' }] }],
        volumes: [{ name: 'disk', persistentVolumeClaim: { claimName: 'x' } }],
      },
    );
    const waiting = await until('waiting', async () => {
      return (await world.pods())[0]?.status?.containerStatuses?.[0]?.state.waiting;
    });
    expect(waiting?.message).toBe('volume disk: there are no volumes of kind persistentVolumeClaim without Kubernetes');
  });

  it('reports a program that cannot be started', async () => {
    await using world = await openExecutorWorld();
    await world.runJob(
      '',
      { backoffLimit: 0 },
      {
        containers: [{ name: 'runner', command: ['/nowhere/program'] }],
      },
    );
    await ended(world, 'Failed');
    expect(terminatedOf((await world.pods())[0])).toMatchObject({
      exitCode: 128,
      reason: 'StartError',
      message: expect.stringContaining('ENOENT'),
    });
  });

  it('lets its log be read from the end, and cut', async () => {
    await using world = await openExecutorWorld();
    await world.runJob('i=0; while [ $i -lt 20000 ]; do echo "line $i"; i=$((i+1)); done');
    await ended(world, 'Complete');
    const [pod] = (await world.pods()) as [Pod];
    expect(await world.log(pod, { tailLines: 2 })).toBe('line 19998\nline 19999\n');
    expect((await world.log(pod, { tailLines: 10_000 })).split('\n')[0]).toBe('line 10000');
    expect(await world.log(pod, { tailLines: 2, limitBytes: 6 })).toBe('line 1');
    expect(await world.log(pod, { limitBytes: 14 })).toBe('line 0\nline 1\n');
    expect(await world.log(pod, { tailLines: 0 })).toBe('');
    await expect(world.client.readLog('default', 'other', { container: 'runner' }, never)).rejects.toMatchObject({
      code: 'NotFound',
    });
  });

  it('is ended, and its folder with all Secrets removed, when the executor stops', async () => {
    await using world = await openExecutorWorld();
    await world.client.create(secretType, secret({ password: 'hunter2' }), never);
    await world.runJob('echo $$; exec sleep 600', {}, mounts(true));
    const pid = await until('a pid', async () => {
      const [first] = await world.pods();
      return Number(await world.log(first)) || undefined;
    });
    const [folder = ''] = await readdir(world.folder);
    expect(await readFile(join(world.folder, folder, 'run/pgbackup/secrets/db/password'), 'utf8')).toBe('hunter2');
    await world.stop();
    expect(isAlive(pid)).toBe(false);
    expect(await readdir(world.folder)).toEqual([]);
  });
});

const secret = (values: Readonly<Record<string, string>>) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 'db', namespace: 'default' },
  data: Object.fromEntries(Object.entries(values).map(([key, value]) => [key, Buffer.from(value).toString('base64')])),
});

const mounts = (optional: boolean) => ({
  volumeMounts: [
    { name: 'task', mountPath: '/run/pgbackup/task' },
    { name: 'db', mountPath: '/run/pgbackup/secrets/db' },
    { name: 'work', mountPath: '/run/pgbackup/work' },
  ],
  volumes: [
    {
      name: 'task',
      downwardAPI: {
        items: [
          { path: 'task.json', fieldRef: { fieldPath: "metadata.annotations['pgbackup.dev/task']" } },
          { path: 'pod-uid', fieldRef: { fieldPath: 'metadata.uid' } },
        ],
      },
    },
    { name: 'db', secret: { secretName: 'db', optional } },
    { name: 'work', emptyDir: {} },
  ],
});
