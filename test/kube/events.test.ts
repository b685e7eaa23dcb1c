import { expect, it } from 'vitest';
import { KubeError, type KubeClient, type KubeObject } from '../../src/kube/client.ts';
import { createEventRecorder, eventType, type EventRecorderOptions } from '../../src/kube/events.ts';
import { createMemoryClient } from '../../src/apiserver/memory-client.ts';
import { buildWidget, widgetMemoryTypes, widgetType } from '../suites/widget.ts';
import { ManualClock, seededRandom, settle } from './manual-clock.ts';

const { signal } = new AbortController();

async function start(
  wrap: (client: KubeClient) => KubeClient = (client) => client,
  more: Partial<EventRecorderOptions> = {},
) {
  const clock = new ManualClock();
  const random = seededRandom(2);
  const client = createMemoryClient({ clock, random, types: [...widgetMemoryTypes, { type: eventType }] });
  const object = await client.create(widgetType, buildWidget('ns', 'a'), signal);
  const dropped: string[] = [];
  const options: EventRecorderOptions = {
    client: wrap(client),
    clock,
    random,
    component: 'tester',
    instance: 'tester-1',
    onDrop: ({ reason }, error) => dropped.push(`${reason}: ${error instanceof Error ? error.message : ''}`),
    ...more,
  };
  const recorder = createEventRecorder(options);
  const stored = async () => (await client.list(eventType, {}, signal)).items;
  return { clock, client, object, options, recorder, dropped, stored };
}

it('records an event about an object', async () => {
  const { object, recorder, stored } = await start();
  recorder.record({ object, type: 'Warning', reason: 'BackupFailed', message: 'the dump failed' });
  await recorder.drain(signal);
  expect(await stored()).toMatchObject([
    {
      metadata: { namespace: 'ns', name: expect.stringMatching(/^a\.[0-9a-f]{16}$/) },
      involvedObject: { apiVersion: 'test.pgbackup.dev/v1', kind: 'Widget', name: 'a', uid: object.metadata.uid },
      type: 'Warning',
      reason: 'BackupFailed',
      message: 'the dump failed',
      source: { component: 'tester' },
      reportingInstance: 'tester-1',
      count: 1,
      firstTimestamp: '2026-01-01T00:00:00Z',
      lastTimestamp: '2026-01-01T00:00:00Z',
    },
  ]);
});

it('counts up repeats, also those of a process before this one', async () => {
  const { clock, object, options, recorder, stored } = await start();
  const again = { object, type: 'Normal', reason: 'Waiting', message: 'for the server' } as const;
  recorder.record(again);
  await recorder.drain(signal);
  await clock.advance(60_000);
  recorder.record(again);
  recorder.record({ ...again, message: 'for the network' });
  recorder.record(again);
  await recorder.drain(signal);
  await clock.advance(60_000);
  const successor = createEventRecorder(options);
  successor.record(again);
  await successor.drain(signal);
  const events = (await stored()).map(({ message, count, firstTimestamp, lastTimestamp }) => {
    return [message, count, firstTimestamp, lastTimestamp];
  });
  expect(events).toContainEqual(['for the server', 4, '2026-01-01T00:00:00Z', '2026-01-01T00:02:00Z']);
  expect(events).toContainEqual(['for the network', 1, '2026-01-01T00:01:00Z', '2026-01-01T00:01:00Z']);
  expect(events).toHaveLength(2);
});

it('sends what was repeated while it was busy as one', async () => {
  const { object, recorder, stored } = await start();
  recorder.record({ object, type: 'Normal', reason: 'First', message: 'x' });
  for (let i = 0; i < 3; i += 1) recorder.record({ object, type: 'Normal', reason: 'Repeated', message: 'x' });
  await recorder.drain(signal);
  const counts = (await stored()).map(({ reason, count }) => `${String(reason)} ${String(count)}`);
  expect(new Set(counts)).toEqual(new Set(['First 1', 'Repeated 3']));
});

it('limits the events of one object without silencing another', async () => {
  const { clock, client, object, recorder, dropped, stored } = await start(undefined, { burst: 3, refillMs: 10_000 });
  const other = await client.create(widgetType, buildWidget('ns', 'b'), signal);
  for (let i = 0; i < 5; i += 1) recorder.record({ object, type: 'Normal', reason: `Storm${i}`, message: 'again' });
  recorder.record({ object: other, type: 'Normal', reason: 'Calm', message: 'once' });
  await recorder.drain(signal);
  expect(new Set((await stored()).map(({ reason }) => reason))).toEqual(
    new Set(['Storm0', 'Storm1', 'Storm2', 'Calm']),
  );
  expect(dropped).toEqual(['Storm3: too many events of this object', 'Storm4: too many events of this object']);
  await clock.advance(10_000);
  recorder.record({ object, type: 'Normal', reason: 'Later', message: 'again' });
  recorder.record({ object, type: 'Normal', reason: 'TooSoon', message: 'again' });
  await recorder.drain(signal);
  expect((await stored()).map(({ reason }) => reason)).toContain('Later');
  expect(dropped.at(-1)).toMatch(/^TooSoon/);
});

it('tries again when the server is away or somebody else was faster, and then gives up and goes on', async () => {
  const faults: KubeError[] = [
    new KubeError('Unreachable', 'away'),
    new KubeError('TooManyRequests', 'busy', { retryAfterSeconds: 5 }),
    new KubeError('AlreadyExists', 'faster'),
  ];
  const failing = (client: KubeClient): KubeClient => ({
    ...client,
    create: async (type, sent, signal) => {
      const fault = sent['reason'] === 'Doomed' ? new KubeError('ServerError', 'broken') : faults.shift();
      if (fault) throw fault;
      return client.create(type, sent, signal);
    },
  });
  const { clock, object, recorder, dropped, stored } = await start(failing);
  recorder.record({ object, type: 'Normal', reason: 'Patient', message: 'arrives' });
  await clock.advance(7000);
  expect(await stored()).toEqual([]);
  await clock.advance(10_000);
  expect(await stored()).toMatchObject([{ reason: 'Patient', count: 1 }]);
  recorder.record({ object, type: 'Normal', reason: 'Doomed', message: 'never arrives' });
  recorder.record({ object, type: 'Normal', reason: 'Next', message: 'arrives' });
  await clock.advance(60_000);
  expect(new Set((await stored()).map(({ reason }) => reason))).toEqual(new Set(['Next', 'Patient']));
  expect(dropped).toEqual(['Doomed: broken']);
});

it('does not insist when it may not', async () => {
  const forbidden = (client: KubeClient): KubeClient => ({
    ...client,
    create: () => Promise.reject(new KubeError('Forbidden', 'no rights', { status: 403 })),
  });
  const { object, recorder, dropped } = await start(forbidden);
  recorder.record({ object, type: 'Normal', reason: 'Refused', message: 'x' });
  await recorder.drain(signal);
  expect(dropped).toEqual(['Refused: no rights']);
});

it('lets a shutdown give up on a server that does not answer', async () => {
  const silent = (client: KubeClient): KubeClient => ({
    ...client,
    create: (_type, _object, stop) => {
      return new Promise((_resolve, reject) => stop.addEventListener('abort', () => reject(stop.reason as Error)));
    },
  });
  const { object, recorder, dropped } = await start(silent);
  recorder.record({ object, type: 'Normal', reason: 'Late', message: 'x' });
  const stop = new AbortController();
  const draining = recorder.drain(stop.signal);
  const reason = new Error('time is up');
  stop.abort(reason);
  await expect(draining).rejects.toBe(reason);
  await settle();
  expect(dropped).toEqual(['Late: time is up']);
});

it('never throws at whoever records', async () => {
  const { recorder, dropped } = await start();
  const broken = { apiVersion: 'v1', kind: 'Widget' } as unknown as KubeObject;
  recorder.record({ object: broken, type: 'Normal', reason: 'Broken', message: 'x' });
  await recorder.drain(signal);
  expect(dropped).toHaveLength(1);
});
