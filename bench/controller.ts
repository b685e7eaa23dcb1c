import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { resources } from '../src/controller/resources.ts';
import type { ControllerProcess } from './controller-process.ts';
import type { ControlPlane } from './control-plane.ts';
import { createCronJobs, createPolicies, deleteAll, listAll } from './due-objects.ts';
import { onControlPlane } from './on-control-plane.ts';
import { median } from './print-results.ts';
import { waitFor } from './wait-for.ts';
import { watchJobs, type Arrivals } from './watch-jobs.ts';

// `npm run bench:controller -- --count 1000 --rounds 3`: policies that are due in the same minute against as many CronJobs of
// Kubernetes, in turns, on one API server; and what our controller takes of memory and, when nothing is due, of time.

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '1000' },
    rounds: { type: 'string', default: '3' },
    'idle-seconds': { type: 'string', default: '300' },
    /** Only ours, to look for what is slow. */
    ours: { type: 'boolean', default: false },
    program: { type: 'string', default: fileURLToPath(new URL('../dist/main.js', import.meta.url)) },
    log: { type: 'string' },
  },
});
const [count, rounds, idleSeconds] = [values.count, values.rounds, values['idle-seconds']].map(Number) as [
  number,
  number,
  number,
];
const limits = { laterSeconds: 1, rssBytes: 250e6, idleShare: 0.01 } as const;
/** Long after both are ready. */
const leadMs = 15_000 + count * 25;
const arriveMs = 30_000 + count * 120;
const tell = (line: string): void => void process.stdout.write(`${line}\n`);

interface OurRound extends Arrivals {
  readonly peakRssBytes: number;
  readonly cpuSeconds: number;
  readonly requests: ReadonlyMap<string, number>;
}

await onControlPlane(async ({ plane, startController }) => {
  const controller = await startController({ main: values.program, runs: count, logPath: values.log });
  if (rounds > 0) await compare(plane, controller);
  if (idleSeconds > 0) await idle(plane, controller);
});

async function compare(plane: ControlPlane, controller: ControllerProcess): Promise<void> {
  tell(`${count} due in the same minute, ${rounds} rounds in turns; seconds after the slot`);
  tell('round           by stamp   first  middle    last   RSS MB   CPU s  requests');
  const natives: Arrivals[] = [];
  const own: OurRound[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    const turns = [
      ...(values.ours ? [] : [async () => void natives.push(await runNative(plane, round))]),
      async () => void own.push(await runOurs(plane, controller, round)),
    ];
    for (const turn of round % 2 === 0 ? turns.toReversed() : turns) await turn();
  }
  const last = own.at(-1);
  const made = [...(last?.requests ?? [])].toSorted(([, a], [, b]) => b - a);
  tell(`requests of the last round: ${made.map(([what, times]) => `${what} ${times}`).join(', ')}`);
  const peak = median(own.map(({ peakRssBytes }) => peakRssBytes));
  say('peak RSS', `${(peak / 1e6).toFixed(0)} MB`, peak <= limits.rssBytes, `${limits.rssBytes / 1e6} MB`);
  if (values.ours) return;
  for (const [what, member] of [
    ['by creationTimestamp', 'lastStampSeconds'],
    ['by a watch', 'lastSeconds'],
  ] as const) {
    const [ours, theirs] = [own, natives].map((all: readonly Arrivals[]) => median(all.map((each) => each[member])));
    const later = (ours ?? NaN) - (theirs ?? NaN);
    const text = `${ours?.toFixed(1)} s, CronJob ${theirs?.toFixed(1)} s: ${later.toFixed(1)} s later`;
    say(`last Job ${what}`, text, later <= limits.laterSeconds, `${limits.laterSeconds} s`);
  }
}

async function runNative({ client, makeNamespace }: ControlPlane, round: number): Promise<Arrivals> {
  const namespace = `native-${round}`;
  await makeNamespace(namespace);
  const slotMs = nextSlot();
  await createCronJobs(client, namespace, count, slotMs);
  const arrivals = await watchJobs(client, namespace, 'CronJob', count, slotMs, arriveMs);
  await settle(client, namespace);
  await deleteAll(client, namespace);
  tell(`CronJob ${round}`.padEnd(14) + printArrivals(arrivals));
  return arrivals;
}

async function runOurs(
  { client, makeNamespace }: ControlPlane,
  controller: ControllerProcess,
  round: number,
): Promise<OurRound> {
  const namespace = `ours-${round}`;
  await makeNamespace(namespace);
  const slotMs = nextSlot();
  await createPolicies(client, namespace, count, slotMs);
  const requestsBefore = await controller.requests();
  const cpuBefore = await controller.cpuSeconds();
  await controller.resetPeak();
  const arrivals = await watchJobs(client, namespace, 'Backup', count, slotMs, arriveMs);
  await settle(client, namespace);
  // And what comes of the pods' states.
  await waitFor('the controller has nothing to do', async () => (await controller.queueDepth()) === 0);
  await delay(5000);
  const cpuSeconds = (await controller.cpuSeconds()) - cpuBefore;
  const peakRssBytes = await controller.peakRssBytes();
  const requests = new Map<string, number>();
  for (const [what, times] of await controller.requests()) {
    const more = times - (requestsBefore.get(what) ?? 0);
    if (more > 0) requests.set(what, more);
  }
  await deleteAll(client, namespace);
  const sum = [...requests.values()].reduce((a, b) => a + b, 0);
  const columns = [
    (peakRssBytes / 1e6).toFixed(0).padStart(9),
    cpuSeconds.toFixed(1).padStart(8),
    `${sum}`.padStart(10),
  ];
  tell(`ours ${round}`.padEnd(14) + printArrivals(arrivals) + columns.join(''));
  return { ...arrivals, peakRssBytes, cpuSeconds, requests };
}

/** Every Job has its pod. */
async function settle(client: ControlPlane['client'], namespace: string): Promise<void> {
  await waitFor('each Job has its pod', async () => {
    return (await listAll(client, resources.pod, namespace)).length >= count;
  });
}

async function idle({ client, makeNamespace }: ControlPlane, controller: ControllerProcess): Promise<void> {
  const namespace = 'idle';
  await makeNamespace(namespace);
  await createPolicies(client, namespace, count, startOfMinute(Date.now() + 86_400_000));
  await waitFor('the controller has nothing to do', async () => (await controller.queueDepth()) === 0);
  await delay(10_000);
  const [before, startedAt] = [await controller.cpuSeconds(), performance.now()];
  await delay(idleSeconds * 1000);
  const share = ((await controller.cpuSeconds()) - before) / ((performance.now() - startedAt) / 1000);
  const what = `idle with ${count} policies for ${idleSeconds} s`;
  say(what, `${(share * 100).toFixed(2)} % of a core`, share <= limits.idleShare, `${limits.idleShare * 100} %`);
}

/** A whole minute that leaves time to make everything. */
function nextSlot(): number {
  return startOfMinute(Date.now() + leadMs) + 60_000;
}

function startOfMinute(ms: number): number {
  return Math.floor(ms / 60_000) * 60_000;
}

function printArrivals({ lastStampSeconds, firstSeconds, middleSeconds, lastSeconds }: Arrivals): string {
  const watched = [firstSeconds, middleSeconds, lastSeconds].map((seconds) => seconds.toFixed(1).padStart(8));
  return lastStampSeconds.toFixed(0).padStart(10) + watched.join('');
}

function say(what: string, found: string, kept: boolean, limit: string): void {
  tell(`${what}: ${found} (limit ${limit}: ${kept ? 'kept' : 'NOT kept'})`);
}
