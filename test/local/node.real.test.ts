import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import type { Backup } from '../../src/api/kinds.ts';
import { createController } from '../../src/controller/controller.ts';
import { clusterMode } from '../../src/controller/mode.ts';
import { resources } from '../../src/controller/resources.ts';
import { isKubeError, type KubeObject } from '../../src/kube/client.ts';
import { openKubeClient, type HttpKubeClient } from '../../src/kube/http-client.ts';
import { jobType, podType, secretType, type Pod } from '../../src/local/workload-types.ts';
import { systemClock, systemRandom } from '../../src/support/clock.ts';
import { silentLog } from '../../src/support/log.ts';
import { crdType } from '../api/start-with-crds.ts';
import { startKubeApiserver, whyNoKubeApiserver, type KubeApiserver } from '../servers/kube-apiserver.ts';
import { startProcessNode, type ProcessNode } from '../servers/process-node.ts';
import { never, until } from './executor-world.ts';
import { findBackups } from './found-backups.ts';
import { startLocalStand, type LocalStand } from './local-stand.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const assets = process.env['KUBEBUILDER_ASSETS'];
const missing = whyNoKubeApiserver(assets, 'kube-controller-manager');

describe.skipIf(missing !== undefined)(
  `the executor as a node of a real cluster${missing ? ` (${missing})` : ''}`,
  () => {
    let stand: LocalStand;
    let server: KubeApiserver;
    let client: HttpKubeClient;
    let node: ProcessNode;

    beforeAll(async () => {
      stand = await startLocalStand();
      server = await startKubeApiserver(assets ?? '');
      client = await openKubeClient({
        source: { kind: 'text', text: server.kubeconfig },
        clock: systemClock,
        userAgent: 'test',
      });
      for (const file of readdirSync(join(root, 'crds'))) {
        await client.create(crdType, parse(readFileSync(join(root, 'crds', file), 'utf8')) as KubeObject, never);
      }
      for (const type of [resources.location, resources.policy, resources.backup]) {
        const isServed = async () =>
          client.list(type, { namespace: 'default' }, never).catch((error: unknown) => {
            if (isKubeError(error)) return undefined;
            throw error;
          });
        await until(`${type.plural} are served`, isServed);
      }
      await server.startControllers('job-controller', 'garbage-collector-controller', 'serviceaccount-controller');
      await until('the default service account', async () => {
        const type = { group: '', version: 'v1', kind: 'ServiceAccount', plural: 'serviceaccounts', namespaced: true };
        return client.get(type, 'default', 'default', never);
      });

      node = await startProcessNode(client, join(stand.folder, 'node'), stand.server.binDir);
    });
    afterAll(async () => {
      await node?.stop();
      client?.close();
      await server?.stop();
      await stand?.stop();
    });

    it('runs a whole backup of the real Job controller, and its log can be read through the API server', async () => {
      const controller = createController({
        client,
        clock: systemClock,
        random: systemRandom,
        log: silentLog,
        mode: { ...clusterMode, claimRequired: false, runner: { image: 'test/image:1' } },
        instance: 'test',
      });
      const stop = new AbortController();
      const running = Promise.all([controller.watch(stop.signal), controller.work(stop.signal)]);
      try {
        const types = [secretType, resources.location, resources.policy];
        for (const document of parseAllDocuments(stand.yaml())) {
          const object = (document as { toJS(): unknown }).toJS() as KubeObject;
          const type = types.find(({ kind }) => kind === object.kind) ?? secretType;
          await client.create(type, { ...object, metadata: { ...object.metadata, namespace: 'default' } }, never);
        }
        const manual = {
          apiVersion: 'pgbackup.dev/v1beta1',
          kind: 'Backup',
          metadata: { name: 'now', namespace: 'default' },
          spec: { policy: 'nightly' },
        };
        await client.create(resources.backup, manual, never);
        const done = await until(
          'the backup has ended',
          async () => {
            const backup = (await client.get(resources.backup, 'default', 'now', never)) as unknown as Backup;
            const condition = backup.status?.conditions?.find(({ type }) => type === 'Succeeded');
            return condition !== undefined && condition.status !== 'Unknown' && { backup, condition };
          },
          60,
        );
        expect(done.condition, JSON.stringify(done.condition)).toMatchObject({ status: 'True' });
        expect(done.backup.status).toMatchObject({ phase: 'Succeeded', databases: { stored: ['shop'], failed: [] } });
        expect(findBackups(stand.disk).map(({ id }) => id)).toEqual(['now']);

        const pods = await client.list(
          podType,
          { namespace: 'default', labelSelector: 'pgbackup.dev/backup=now' },
          never,
        );
        const log = await client.readLog(
          'default',
          pods.items[0]?.metadata.name ?? '',
          { container: 'runner', tailLines: 1 },
          never,
        );
        expect(JSON.parse(log)).toMatchObject({ message: 'done', verdict: 'Succeeded' });
      } finally {
        stop.abort();
        await running;
      }
    });

    it('ends the process of a Job that is deleted, and takes its pod away', async () => {
      const job = {
        apiVersion: 'batch/v1',
        kind: 'Job',
        metadata: { name: 'sleeper', namespace: 'default' },
        spec: {
          template: {
            spec: {
              restartPolicy: 'Never',
              automountServiceAccountToken: false,
              containers: [{ name: 'runner', image: 'x', command: ['/bin/sh', '-c', 'echo $$; exec sleep 600'] }],
            },
          },
        },
      };
      await client.create(jobType, job, never);
      const labelSelector = 'batch.kubernetes.io/job-name=sleeper';
      const pods = async () => (await client.list(podType, { namespace: 'default', labelSelector }, never)).items;
      const pid = await until('a pid', async () => {
        const [pod] = await pods();
        if (pod === undefined || (pod as Pod).status?.phase !== 'Running') return undefined;
        return (
          Number(await client.readLog('default', pod.metadata.name ?? '', { container: 'runner' }, never)) || undefined
        );
      });
      expect(readFileSync(`/proc/${pid}/cmdline`, 'utf8')).toContain('sleep');
      await client.delete(jobType, 'default', 'sleeper', {}, never);
      await until('the pod is gone', async () => (await pods()).length === 0, 30);
      expect(() => readFileSync(`/proc/${pid}/cmdline`)).toThrow();
    });
  },
);
