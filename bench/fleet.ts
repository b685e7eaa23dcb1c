import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { resources } from '../src/controller/resources.ts';
import type { KubeObject, ResourceType } from '../src/kube/client.ts';
import type { ControllerProcess } from './controller-process.ts';
import type { ControlPlane } from './control-plane.ts';
import { endedBackup, fleetLocation, fleetPolicy, queuedBackup } from './fleet-objects.ts';
import { onControlPlane, type Stand } from './on-control-plane.ts';
import { median } from './print-results.ts';
import { openObjectStore } from './stored-objects.ts';
import { waitFor } from './wait-for.ts';

// `npm run bench:fleet -- --policies 10000 --backups 100000 --queued 2000`: a controller that starts among so many objects on a real
// API server: when it leads, when it has looked at all, what it takes of memory and time, and how soon it sees what happens then.

const { values } = parseArgs({
  options: {
    policies: { type: 'string', default: '10000' },
    backups: { type: 'string', default: '100000' },
    queued: { type: 'string', default: '2000' },
    'idle-seconds': { type: 'string', default: '120' },
    log: { type: 'string' },
  },
});
const [policies, backups, queued, idleSeconds] = [
  values.policies,
  values.backups,
  values.queued,
  values['idle-seconds'],
].map(Number) as [number, number, number, number];
const limits = { readySeconds: 60, rssBytes: 1e9, lookSeconds: 0.005, idleShare: 0.05 } as const;
const main = fileURLToPath(new URL('../dist/main.js', import.meta.url));
const never = new AbortController().signal;
const namespaces = Array.from({ length: 20 }, (_, index) => `team-${index}`);
const runs = 10;
const tell = (line: string): void => void process.stdout.write(`${line}\n`);

await onControlPlane(async ({ plane, startController }) => {
  await seed(plane);
  const first = await start(startController);
  await first.stop();
  tell('and once more, when policies and Backups have their statuses');
  const controller = await start(startController);
  await delay(15_000);
  const [cpu, idleAt] = [await controller.cpuSeconds(), performance.now()];
  await delay(idleSeconds * 1000);
  const share = ((await controller.cpuSeconds()) - cpu) / ((performance.now() - idleAt) / 1000);
  say('idle', `${(share * 100).toFixed(2)} % of a core`, share <= limits.idleShare, `${limits.idleShare * 100} %`);
  await seeEvents(plane, controller);
  await endRun(plane, controller);
  await scrape(controller);
  const looks = await controller.lookSeconds();
  const slow = looks.share(limits.lookSeconds);
  say('looks that decide within 5 ms', `${(slow * 100).toFixed(2)} % of ${looks.count}`, slow >= 0.99, '99 %');
});

async function start(startController: Stand['startController']): Promise<ControllerProcess> {
  const startedAt = performance.now();
  const seconds = (): number => (performance.now() - startedAt) / 1000;
  const controller = await startController({ main, runs, logPath: values.log });
  const ready = seconds();
  say('it leads', `${ready.toFixed(1)} s after its start`, ready <= limits.readySeconds, `${limits.readySeconds} s`);
  tell(`until then: ${(await controller.cpuSeconds()).toFixed(1)} CPU s, ${await printRss(controller)}`);
  // Each question is a scrape, which looks at every object: as often as a busy Prometheus.
  const hasLooked = async (): Promise<boolean> => delay(10_000).then(async () => (await controller.queueDepth()) === 0);
  await waitFor('it has looked at all', hasLooked, 600_000);
  tell(`it has looked at all: ${seconds().toFixed(1)} s, ${(await controller.cpuSeconds()).toFixed(1)} CPU s`);
  const rss = await controller.peakRssBytes();
  say('peak RSS', await printRss(controller), rss <= limits.rssBytes, `${limits.rssBytes / 1e6} MB`);
  return controller;
}

async function printRss(controller: ControllerProcess): Promise<string> {
  const rss = await controller.peakRssBytes();
  const objects = policies + backups + queued;
  return `${(rss / 1e6).toFixed(0)} MB (${(rss / objects / 1000).toFixed(1)} kB for each of ${objects} objects)`;
}

async function seed({ client, etcdUrl, makeNamespace }: ControlPlane): Promise<void> {
  const began = performance.now();
  for (const namespace of namespaces) await makeNamespace(namespace);
  const bytes = await openObjectStore(client, etcdUrl).put(listObjects(Date.now()));
  for (const type of [resources.policy, resources.backup]) await isTakenIn(client, type);
  const made = `${policies} policies, ${backups} ended and ${queued} queued Backups`;
  tell(`${made}, ${(bytes / 1e6).toFixed(0)} MB, made in ${((performance.now() - began) / 1000).toFixed(0)} s`);
}

/** What is in etcd reaches lists and watches by a cache of the API server, in the order of its making: the last of all is waited for. */
async function isTakenIn(client: ControlPlane['client'], type: ResourceType): Promise<void> {
  const name = 'last-of-all';
  const [namespace = ''] = namespaces;
  const last = type === resources.policy ? fleetPolicy(namespace, name) : queuedBackup(namespace, 'nightly-0', name);
  const { resourceVersion } = await client.create(type, last, never).then(({ metadata }) => metadata);
  const before = String(BigInt(resourceVersion ?? '') - 1n);
  const isSeen = async (): Promise<boolean> => {
    try {
      for await (const event of client.watch(type, { resourceVersion: before }, AbortSignal.timeout(10_000)))
        if (event.type === 'ADDED' && event.object.metadata.name === name) return true;
    } catch {
      // It says that it does not know so late a version, or nothing at all.
    }
    return false;
  };
  await waitFor(`the API server has taken in all ${type.plural}`, isSeen, 600_000);
  await client.delete(type, namespace, name, {}, never);
}

function* listObjects(nowMs: number): Generator<{ readonly object: KubeObject; readonly madeMs: number }> {
  const namespaceOf = (index: number): string => namespaces[index % namespaces.length] ?? '';
  for (const namespace of namespaces) yield { object: fleetLocation(namespace, nowMs), madeMs: nowMs };
  const each = Math.ceil(backups / policies);
  for (let index = 0; index < policies; index += 1) {
    const [namespace, name] = [namespaceOf(index), `nightly-${index}`];
    yield { object: fleetPolicy(namespace, name), madeMs: nowMs - (each + 2) * 3_600_000 };
    for (let hours = 1; hours <= each; hours += 1) {
      yield { object: endedBackup(namespace, name, hours, nowMs), madeMs: nowMs - hours * 3_600_000 };
    }
  }
  for (let index = 0; index < queued; index += 1) {
    yield { object: queuedBackup(namespaceOf(index), `nightly-${index}`, `byhand-${index}`), madeMs: nowMs };
  }
}

/** From the creation of a Backup to its first status. */
async function seeEvents({ client }: ControlPlane, controller: ControllerProcess): Promise<void> {
  const found: number[] = [];
  const before = await controller.cpuSeconds();
  for (let index = 0; index < 10; index += 1) {
    const namespace = namespaces[index] ?? '';
    const began = performance.now();
    await client.create(resources.backup, queuedBackup(namespace, `nightly-${index}`, `later-${index}`), never);
    while ((await client.get(resources.backup, namespace, `later-${index}`, never))?.['status'] === undefined)
      await delay(5);
    found.push(performance.now() - began);
  }
  const cpu = (await controller.cpuSeconds()) - before;
  tell(
    `a new Backup has its status after ${median(found).toFixed(0)} ms (${Math.max(...found).toFixed(0)} at most), ${(cpu / found.length).toFixed(2)} CPU s each`,
  );
}

/** A run that works is deleted, which frees its place. */
async function endRun({ client }: ControlPlane, controller: ControllerProcess): Promise<void> {
  const before = await controller.cpuSeconds();
  const [job] = (await client.list(resources.job, { labelSelector: 'pgbackup.dev/backup', limit: 1 }, never)).items;
  const owner = job?.metadata.ownerReferences?.[0]?.name ?? '';
  await client.delete(resources.backup, job?.metadata.namespace, owner, {}, never);
  await delay(5000);
  tell(
    `the end of a run with ${queued} that wait: ${((await controller.cpuSeconds()) - before).toFixed(2)} CPU s in 5 s`,
  );
}

async function scrape(controller: ControllerProcess): Promise<void> {
  const [before, began] = [await controller.cpuSeconds(), performance.now()];
  await controller.queueDepth();
  const took = performance.now() - began;
  tell(`a scrape: ${(took / 1000).toFixed(2)} s, ${((await controller.cpuSeconds()) - before).toFixed(2)} CPU s`);
}

function say(what: string, found: string, kept: boolean, limit: string): void {
  tell(`${what}: ${found} (limit ${limit}: ${kept ? 'kept' : 'NOT kept'})`);
}
