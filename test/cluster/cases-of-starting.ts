import { beforeAll, describe, expect, it } from 'vitest';
import type { DiaryEntry } from './backup-diary.ts';
import type { Scene } from './cluster-scene.ts';
import { document, until } from './cluster-user.ts';

const once = { retries: 0 };
const memory = (amount: string): object => ({
  ...once,
  resources: { requests: { memory: amount }, limits: { memory: amount } },
});
/** No run of these comes to ask it anything. */
const nowhere = '192.0.2.1';

const waitsForNode = 'node';
const neverComes = ['no-secret', 'no-key'] as const;

/** Pods that do not start, in namespaces `trouble`, `quota`, `limits` and `refused`: all at once, as they would be in a large cluster. */
export function tryStarting(scene: Scene): void {
  describe('names what keeps a runner from starting:', () => {
    const heard = new Map<string, Promise<DiaryEntry>>();
    const hear = async (name: string): Promise<DiaryEntry> => {
      const entry = await heard.get(name);
      if (entry === undefined) throw new Error(`nobody listens to ${name}`);
      scene().note(`${name}: ${entry.reason}`, entry.seconds);
      return entry;
    };

    beforeAll(async () => {
      const { user, diary } = scene();
      const { policy, backup } = user;
      for (const name of ['quota', 'limits', 'refused', 'trouble']) await user.makeNamespace(name);
      await user.apply('quota', document('ResourceQuota', 'none', { spec: { hard: { pods: '0' } } }, 'v1'));
      const limits = [{ type: 'Container', max: { memory: '48Mi' } }];
      await user.apply('limits', document('LimitRange', 'small', { spec: { limits } }, 'v1'));
      await refuseJobs(scene, 'refused');
      // Its password stands under another key.
      await user.apply('trouble', document('Secret', 'half', { stringData: { username: 'a' } }, 'v1'));
      await user.apply('trouble', directory('claim', 'absent'));
      await user.apply('quota', policy('quota', { runner: once, host: nowhere }), backup('quota'));
      await user.apply('limits', policy('limits', { runner: memory('64Mi'), host: nowhere }), backup('limits'));
      await user.apply('refused', policy('refused', { runner: once, host: nowhere }), backup('refused'));
      await user.apply(
        'trouble',
        policy(waitsForNode, { runner: { ...once, nodeSelector: { disk: 'none' } }, host: '192.0.2.2' }),
        policy('claim', { runner: once, host: '192.0.2.3', locations: ['claim'] }),
        policy('memory', { runner: memory('24Mi') }),
        policy('later', { runner: once, secret: 'later' }),
        policy('no-secret', { runner: once, secret: 'never', host: '192.0.2.4' }),
        policy('no-key', { runner: once, secret: 'half', passwordKey: 'word', host: '192.0.2.4' }),
        // Never Ready, so its slots pass.
        policy('placeless', { schedule: '* * * * *', locations: ['absent'] }),
        ...[waitsForNode, 'claim', 'memory', 'later', ...neverComes].map((name) => backup(name)),
      );
      const listen = (namespace: string, name: string, reason: string): void => {
        // Its server is that of other cases, whose runs come first.
        const entry = diary.hear(namespace, name, [reason], name === 'memory' ? 240 : undefined);
        entry.catch(() => undefined);
        heard.set(name, entry);
      };
      for (const name of ['quota', 'limits', 'refused']) listen(name, name, 'PodRefused');
      for (const name of [waitsForNode, 'claim']) listen('trouble', name, 'PodUnschedulable');
      for (const name of ['later', ...neverComes]) listen('trouble', name, 'WaitingForSecret');
      listen('trouble', 'memory', 'OutOfMemory');
    }, 120_000);

    it.each([
      ['quota', 'a quota', 'exceeded quota: none'],
      ['limits', 'a LimitRange', 'maximum memory usage per Container is 48Mi'],
      ['refused', 'a rule of the cluster that lets no Job in', 'no jobs today'],
      [waitsForNode, 'no node that fits', "didn't match Pod's node affinity/selector"],
      ['claim', 'a volume claim that does not exist', 'persistentvolumeclaim "absent" not found'],
    ])('%s: %s', async (name, _, message) => {
      const { user } = scene();
      const entry = await hear(name);
      expect(entry).toMatchObject({ status: 'Unknown', message: expect.stringContaining(message) as string });
      expect(entry.seconds).toBeLessThan(60);
      if (name === waitsForNode) return;
      // So that it holds no place; what it made goes with it.
      const namespace = name === 'claim' ? 'trouble' : name;
      await user.kubectl(['-n', namespace, 'delete', 'pgb', name]);
      await until('its Job goes', 30, async () =>
        (await user.list(namespace, 'jobs')).some((job) => job.metadata.name === `pgb-${name}`) ? undefined : true,
      );
    });

    it('too little memory', async () => {
      const { user } = scene();
      expect(await hear('memory')).toMatchObject({ status: 'False' });
      const { events } = await describeBackup(scene, 'trouble', 'memory');
      expect(events).toContain('OutOfMemory');
      // What a script does that waits for a backup.
      const { ask } = scene().stand.node;
      const wait = async (condition: string) =>
        ask(['-n', 'trouble', 'wait', `--for=condition=${condition}`, 'backup/memory', '--timeout=2s']);
      expect(await wait('Succeeded')).toMatchObject({ exitCode: 1 });
      expect(await wait('Succeeded=false')).toMatchObject({ exitCode: 0 });
      expect((await user.get('trouble', 'pgbp', 'memory')).status?.conditions).toContainEqual(
        expect.objectContaining({ type: 'Healthy', status: 'False', reason: 'LastRunFailed' }),
      );
    });

    it('a Secret that is not there', async () => {
      const { user, stand } = scene();
      const entry = await hear('later');
      expect(entry).toMatchObject({ status: 'Unknown', message: expect.stringContaining('later') as string });
      const login = { stringData: { username: stand.server.user, password: stand.server.password } };
      await user.apply('trouble', document('Secret', 'later', login, 'v1'));
    });
  });
}

/** What takes two minutes by design: to be listed late. */
export function tryWaiting(scene: Scene): void {
  it('goes on with a run when its Secret comes', async () => {
    const { diary, note } = scene();
    const { seconds } = await diary.hear('trouble', 'later', ['Succeeded'], 120);
    note('later: Succeeded', seconds);
  });

  it.each([
    ['no-secret', 'never'],
    ['no-key', 'word'],
  ])('gives a runner up after two minutes without its Secret or the key in it: %s', async (name, missing) => {
    const { diary, note, user } = scene();
    const { seconds: shown = Infinity } =
      diary.entries('trouble', name).find(({ reason }) => reason === 'WaitingForSecret') ?? {};
    expect(shown).toBeLessThan(60);
    note(`${name}: WaitingForSecret`, shown);
    const final = await diary.hear('trouble', name, ['SecretMissing'], 150);
    expect(final).toMatchObject({ status: 'False', message: expect.stringContaining(missing) as string });
    expect(final.seconds).toBeLessThan(180);
    note(`${name}: SecretMissing`, final.seconds);
    expect((await user.podsOf('trouble', name)).length).toBe(1);
  });

  it('says of a policy whose run is stuck, and of one that can make none, that they are not healthy', async () => {
    const { user } = scene();
    const isUnhealthy = async (name: string, reason: string): Promise<void> => {
      const of = { namespace: 'trouble', type: 'pgbp', name };
      await user.waitForCondition(of, { type: 'Healthy', status: 'False', reason }, 150);
    };
    await isUnhealthy(waitsForNode, 'RunStuck');
    await isUnhealthy('placeless', 'LocationMissing');
    const shown = await user.kubectl(['-n', 'trouble', 'describe', 'pgbp', waitsForNode]);
    expect(shown).toMatch(/node cannot start: PodUnschedulable: [^]*Events:[^]*RunStuck/);
  });
}

export async function describeBackup(
  scene: Scene,
  namespace: string,
  name: string,
): Promise<{ readonly whole: string; readonly events: string }> {
  const whole = await scene().user.kubectl(['-n', namespace, 'describe', 'pgb', name]);
  return { whole, events: whole.slice(whole.indexOf('\nEvents:')) };
}

const directory = (name: string, claimName: string): object =>
  document('BackupLocation', name, { spec: { directory: { path: 'backups', claimName } } });

/** As an administrator's policy engine would; waits until the API server holds to it. */
async function refuseJobs(scene: Scene, namespace: string): Promise<void> {
  const { user, stand } = scene();
  const group = 'admissionregistration.k8s.io/v1';
  const rule = { apiGroups: ['batch'], apiVersions: ['v1'], operations: ['CREATE'], resources: ['jobs'] };
  const namespaceSelector = { matchLabels: { 'kubernetes.io/metadata.name': namespace } };
  await user.apply(
    'default',
    document(
      'ValidatingAdmissionPolicy',
      'no-jobs',
      {
        spec: {
          matchConstraints: { namespaceSelector, resourceRules: [rule] },
          validations: [{ expression: 'false', message: 'no jobs today' }],
        },
      },
      group,
    ),
    document(
      'ValidatingAdmissionPolicyBinding',
      'no-jobs',
      { spec: { policyName: 'no-jobs', validationActions: ['Deny'] } },
      group,
    ),
  );
  const tryOne = ['-n', namespace, 'create', 'job', 'try', '--image=none', '--dry-run=server'];
  await until('Jobs are refused', 30, async () =>
    (await stand.node.ask(tryOne)).stderr.includes('no jobs today') ? true : undefined,
  );
}
