import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Backup, BackupPolicy } from '../../src/api/kinds.ts';
import { controllerRules } from '../../src/codegen/roles.ts';
import { createController } from '../../src/controller/controller.ts';
import { resources } from '../../src/controller/resources.ts';
import { runLeading } from '../../src/controller/run-leading.ts';
import type { ResourceType } from '../../src/kube/client.ts';
import { openKubeClient, type HttpKubeClient } from '../../src/kube/http-client.ts';
import { systemClock, systemRandom } from '../../src/support/clock.ts';
import { silentLog } from '../../src/support/log.ts';
import { startWithCrds, type Cluster } from '../api/start-with-crds.ts';
import { asSent, buildBackup, buildLocation, buildPolicy, buildRun, failed, succeeded } from '../builders/objects.ts';
import { whyNoKubeApiserver } from '../servers/kube-apiserver.ts';
import { testMode } from './fake-cluster.ts';

const assets = process.env['KUBEBUILDER_ASSETS'];
const missing = whyNoKubeApiserver(assets);
const { signal } = new AbortController();
const namespace = 'shop';
const group = 'rbac.authorization.k8s.io';
const rbac = (kind: string, plural: string): ResourceType => ({
  group,
  version: 'v1',
  kind,
  plural,
  namespaced: false,
});

const day = (number: number): string => `2026-01-0${number}T03:00:00Z`;
const failedRun = (number: number): Backup => buildRun(day(number), failed('DumpFailed', day(number)));
const goodRun = (number: number, outcome: 'Stored' | 'Missing'): Backup => {
  const since = outcome === 'Missing' ? { missingSince: day(number + 1) } : {};
  const destinations = [{ location: 'near', outcome, ...since }];
  return buildRun(day(number), succeeded(day(number), day(number), { destinations }));
};

describe.skipIf(missing !== undefined)(`The history of runs${missing ? ` (skipped: ${missing})` : ''}`, () => {
  let cluster: Cluster;
  let client: HttpKubeClient;
  beforeAll(async () => {
    cluster = await startWithCrds(assets ?? '', signal, ['operator']);
    const text = cluster.kubeconfigOf('operator');
    client = await openKubeClient({ source: { kind: 'text', text }, clock: systemClock, userAgent: 'test' });
    const create = (type: ResourceType, more: object, name: string) => {
      const apiVersion = type.group === '' ? 'v1' : `${type.group}/v1`;
      return cluster.client.create(type, { apiVersion, kind: type.kind, metadata: { name }, ...more }, signal);
    };
    await create(
      { group: '', version: 'v1', kind: 'Namespace', plural: 'namespaces', namespaced: false },
      {},
      namespace,
    );
    await create(rbac('ClusterRole', 'clusterroles'), { rules: controllerRules }, 'operator');
    const roleRef = { apiGroup: group, kind: 'ClusterRole', name: 'operator' };
    const subjects = [{ apiGroup: group, kind: 'User', name: 'operator' }];
    await create(rbac('ClusterRoleBinding', 'clusterrolebindings'), { roleRef, subjects }, 'operator');
  });
  afterAll(async () => {
    client?.close();
    await cluster?.stop();
  });

  it('loses with the shipped rights what stands for nothing, after it was counted, and nothing else', async () => {
    const spec = { schedule: undefined, successfulRunsHistoryLimit: 0, failedRunsHistoryLimit: 1 };
    await cluster.client.create(resources.location, asSent(buildLocation()), signal);
    await cluster.client.create(resources.policy, asSent(buildPolicy({ spec })), signal);
    const byHand = buildBackup({ name: 'by-hand', status: failed('DumpFailed', day(1)) ?? {} });
    const all = [
      ...[1, 2, 3, 4].map(failedRun),
      goodRun(5, 'Missing'),
      goodRun(6, 'Stored'),
      goodRun(7, 'Stored'),
      failedRun(8),
      byHand,
    ];
    for (const backup of all) {
      const made = await cluster.client.create(resources.backup, asSent(backup), signal);
      await cluster.client.putStatus(resources.backup, { ...made, status: backup.status }, signal);
    }
    const stop = new AbortController();
    const controller = createController({
      client,
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
      mode: testMode,
      instance: 'test',
      namespace,
    });
    const ends = runLeading(controller, undefined, stop.signal);
    const names = async (): Promise<readonly string[]> => {
      const { items } = await cluster.client.list(resources.backup, { namespace }, signal);
      return items.map(({ metadata }) => metadata.name ?? '');
    };
    const left = [byHand, goodRun(6, 'Stored'), goodRun(7, 'Stored'), failedRun(8)].map(
      ({ metadata }) => metadata.name,
    );
    try {
      await vi.waitFor(async () => expect(await names()).toEqual(left), { timeout: 30_000, interval: 200 });
      await new Promise((resolve) => setTimeout(resolve, 3000));
      expect(await names()).toEqual(left);
      const policy = await cluster.client.get(resources.policy, namespace, 'nightly', signal);
      expect((policy as unknown as BackupPolicy).status?.runs).toEqual({ Succeeded: 3, PartlyFailed: 0, Failed: 6 });
    } finally {
      stop.abort();
      await ends;
    }
  }, 90_000);
});
