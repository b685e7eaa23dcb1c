import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createBackupJob } from '../../src/controller/backup/job.ts';
import { explainRefused } from '../../src/controller/run/explain-refused.ts';
import { buildBackup, buildLocation, buildPolicy } from '../builders/objects.ts';
import { startKubeApiserver, whyNoKubeApiserver, type KubeApiserver } from '../servers/kube-apiserver.ts';
import { askKubectl, runKubectl } from '../servers/run-kubectl.ts';
import { testMode } from './fake-cluster.ts';

const assets = process.env['KUBEBUILDER_ASSETS'] ?? '';
const missing = whyNoKubeApiserver(assets, 'kubectl');
const advice = 'runner.resources (of the policy, location or request)';

/** In each namespace what it limits, and whether a runner fits there that asks for nothing of its own. */
const namespaces = {
  'max-of-512mi': { kind: 'LimitRange', spec: { limits: [{ type: 'Container', max: { memory: '512Mi' } }] } },
  'max-and-default': {
    kind: 'LimitRange',
    spec: {
      limits: [
        {
          type: 'Container',
          max: { memory: '1Gi', cpu: '1' },
          default: { memory: '600Mi', cpu: '500m' },
          defaultRequest: { memory: '200Mi', cpu: '10m' },
        },
      ],
    },
  },
  'max-of-pods': { kind: 'LimitRange', spec: { limits: [{ type: 'Pod', max: { memory: '1Gi' } }] } },
  'min-of-1gi': { kind: 'LimitRange', spec: { limits: [{ type: 'Container', min: { memory: '1Gi' } }] } },
  ratio: { kind: 'LimitRange', spec: { limits: [{ type: 'Container', maxLimitRequestRatio: { memory: '2' } }] } },
} as const;
/** The pod of a Job that the controller makes. */
function makePod(resources?: object): object {
  const policy = buildPolicy({ spec: { runner: resources === undefined ? {} : { resources } } });
  const places = [{ location: buildLocation(), required: true }];
  const { object } = createBackupJob(buildBackup(), policy, places, testMode, Date.now());
  const { template } = object['spec'] as { readonly template: { readonly metadata: object } };
  return { apiVersion: 'v1', kind: 'Pod', ...template, metadata: { ...template.metadata, name: 'run' } };
}

describe.skipIf(missing !== undefined)(`A namespace with limits of its own${missing ? ` (${missing})` : ''}`, () => {
  let server: KubeApiserver;
  /** What the server says to it; '' when it is taken. */
  const refusal = async (namespace: string, pod: object): Promise<string> => {
    const args = ['-n', namespace, 'create', '--dry-run=server', '-f', '-'];
    return (await askKubectl(assets, server, args, JSON.stringify(pod))).stderr;
  };

  beforeAll(async () => {
    server = await startKubeApiserver(assets);
    for (const [namespace, limits] of Object.entries(namespaces)) {
      await runKubectl(assets, server, ['create', 'namespace', namespace]);
      await runKubectl(assets, server, ['-n', namespace, 'create', 'serviceaccount', 'default']);
      const object = { apiVersion: 'v1', metadata: { name: 'own' }, ...limits };
      await runKubectl(assets, server, ['-n', namespace, 'create', '-f', '-'], JSON.stringify(object));
    }
  });
  afterAll(async () => server?.stop());

  it.each(Object.keys(namespaces))('%s refuses a runner, which is told with what to write', async (namespace) => {
    await expect.poll(() => refusal(namespace, makePod())).toContain('forbidden');
    expect(explainRefused(await refusal(namespace, makePod()))).toContain(advice);
  });

  it.each(['max-of-512mi', 'max-and-default'])('%s takes one that leaves all to it', async (namespace) => {
    expect(await refusal(namespace, makePod({}))).toBe('');
  });

  it.each(['max-of-512mi', 'max-of-pods', 'max-and-default'])('%s takes one that says what fits', async (namespace) => {
    const fitting = { requests: { memory: '200Mi' }, limits: { memory: '500Mi' } };
    expect(await refusal(namespace, makePod(fitting))).toBe('');
  });

  it('is not blamed for what others refuse', () => {
    const other = 'pods "run" is forbidden: violates PodSecurity "restricted:latest": hostNetwork';
    expect(explainRefused(other)).toBe(other);
  });
});
