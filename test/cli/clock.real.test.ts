import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BackupPolicy } from '../../src/api/kinds.ts';
import { resources } from '../../src/controller/resources.ts';
import { core, startWithCrds, type Cluster } from '../api/start-with-crds.ts';
import { asSent, buildBackup, buildLocation, buildPolicy } from '../builders/objects.ts';
import { startControllerProcess, type ControllerProcess } from '../servers/controller-process.ts';
import { whyNoKubeApiserver } from '../servers/kube-apiserver.ts';
import { makeTemporaryFolder } from '../servers/temporary-folder.ts';
import { until } from '../local/executor-world.ts';

const assets = process.env['KUBEBUILDER_ASSETS'];
const missing = whyNoKubeApiserver(assets);
const { signal } = new AbortController();
const namespace = 'shop';
const yearMs = 365 * 86_400_000;

/** The process's wall clock is moved from outside; the API server's is the machine's. */
describe.skipIf(missing !== undefined)(
  `A controller whose clock is wrong (${missing ?? 'on a real API server'})`,
  () => {
    let cluster: Cluster;
    let controller: ControllerProcess;
    let clockFile: string;
    let folder: Awaited<ReturnType<typeof makeTemporaryFolder>>;

    const look = async <T>(what: string, ask: () => Promise<T | undefined | false>): Promise<T> =>
      until(
        what,
        async () => {
          await delay(100);
          return ask();
        },
        60,
      );
    const move = async (offsetMs: number): Promise<void> => writeFile(clockFile, String(offsetMs));
    const backups = async (): Promise<readonly (string | undefined)[]> =>
      (await cluster.client.list(resources.backup, { namespace }, signal)).items.map(({ metadata }) => metadata.name);
    const policyOf = async (name: string): Promise<BackupPolicy> =>
      (await cluster.client.get(resources.policy, namespace, name, signal)) as unknown as BackupPolicy;
    const aheadOf = async (): Promise<number> =>
      Number(/^pgbackup_controller_clock_ahead_seconds (\S+)$/m.exec(await controller.scrape())?.[1]);
    const events = async (): Promise<readonly string[]> =>
      (await cluster.client.list(resources.event, { namespace: 'default' }, signal)).items.map((event) => {
        return `${String(event['reason'])}: ${String(event['message'])}`;
      });

    beforeAll(async () => {
      cluster = await startWithCrds(assets ?? '', signal);
      folder = await makeTemporaryFolder();
      clockFile = join(folder.path, 'clock');
      const kubeconfig = join(folder.path, 'kubeconfig');
      await writeFile(kubeconfig, cluster.kubeconfig, { mode: 0o600 });
      await move(yearMs);
      await cluster.client.create(
        core('Namespace', 'namespaces', false),
        { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
        signal,
      );
      await cluster.client.create(
        core('ServiceAccount', 'serviceaccounts'),
        { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace: 'default' } },
        signal,
      );
      await cluster.client.create(
        resources.pod,
        {
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: { name: 'controller-0', namespace: 'default' },
          spec: { containers: [{ name: 'controller', image: 'test/image:1' }] },
        },
        signal,
      );
      await cluster.client.create(resources.location, asSent(buildLocation()), signal);
      await cluster.client.create(resources.policy, asSent(buildPolicy({ spec: { schedule: '0 3 * * *' } })), signal);
      controller = await startControllerProcess({
        identity: 'controller-0',
        kubeconfig,
        clockFile,
        env: { POD_NAME: 'controller-0' },
      });
    });
    afterAll(async () => {
      controller?.child.kill('SIGKILL');
      await controller?.exitCode;
      await cluster?.stop();
      await folder?.remove();
    });

    it('goes by the time of the API server, makes no run of a time that has not come, and says so in log, event and metric', async () => {
      const { status } = await look('the policy has been looked at', async () => {
        const policy = await policyOf('nightly');
        return policy.status?.nextScheduleTime !== undefined && policy;
      });
      const next = Date.parse(status?.nextScheduleTime ?? '');
      expect(next).toBeGreaterThan(Date.now());
      expect(next).toBeLessThan(Date.now() + 86_400_000 + 60_000);
      expect(await backups()).toEqual([]);
      expect(Math.abs((await aheadOf()) - yearMs / 1000)).toBeLessThan(3);
      expect(controller.output()).toMatch(/"reason":"ClockOff"/);
      const told = await look('the event', async () => (await events()).find((line) => line.startsWith('ClockOff')));
      expect(told).toMatch(/ClockOff: the clock of this controller is 31536\d\d\d s ahead of the API server's/);
    });

    it('does so whenever its clock jumps, to and fro, and its runs go on meanwhile', async () => {
      for (const [index, offsetMs] of [0, yearMs, -yearMs, 3 * 3_600_000, 0].entries()) {
        await move(offsetMs);
        await look('the metric says so', async () => Math.abs((await aheadOf()) - offsetMs / 1000) < 3);
        const name = `hand-${index}`;
        await cluster.client.create(resources.backup, asSent(buildBackup({ name })), signal);
        const job = await look('its Job', async () =>
          cluster.client.get(resources.job, namespace, `pgb-${name}`, signal),
        );
        await cluster.client.delete(resources.job, namespace, job.metadata.name ?? '', {}, signal);
        await cluster.client.delete(resources.backup, namespace, name, {}, signal);
      }
      expect((await backups()).filter((name) => name?.startsWith('nightly'))).toEqual([]);
      const { status } = await policyOf('nightly');
      expect(Date.parse(status?.nextScheduleTime ?? '')).toBeLessThan(Date.now() + 86_400_000 + 60_000);
      expect(status?.missedRuns).toBe(0);
      await look('it says that all is well', async () => controller.output().includes('the clock is right again'));
    });
  },
);
