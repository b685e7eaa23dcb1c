import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { finalizer, type RestoreRequest } from '../../src/api/kinds.ts';
import { resources } from '../../src/controller/resources.ts';
import type { ObjectChange } from '../../src/kube/object-cache.ts';
import type { LoadedObject } from '../../src/local/loaded-object.ts';
import { openLocalClient } from '../../src/local/open-client.ts';
import { recoverRestores } from '../../src/local/recover-restores.ts';
import { openRestoreRecords } from '../../src/local/restore-records.ts';
import { systemClock, systemRandom } from '../../src/support/clock.ts';
import { never } from './executor-world.ts';
import { restoreRequest } from './restores.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pgbackup-records-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const going = restoreRequest('r', ['Unknown', 'Running'], { phase: 'Running', job: 'pgrr-r' });
const held: RestoreRequest = { ...going, metadata: { ...going.metadata, finalizers: [finalizer] } };
const change = (object: RestoreRequest | undefined, previous: RestoreRequest | undefined) =>
  ({ namespace: 'default', name: 'r', object, previous }) as unknown as ObjectChange;

describe('records of restores', () => {
  it('last from before the Job is made until the end, and outlive whoever wrote them', () => {
    const records = openRestoreRecords(folder);
    expect(records.left).toEqual([]);
    records.note(change(going, undefined));
    expect(readdirSync(folder)).toEqual([]);
    records.note(change(held, going));
    expect(readdirSync(folder)).toEqual(['uid-r.json']);
    expect(openRestoreRecords(folder).left).toEqual([held]);
    records.note(change(going, held));
    expect(readdirSync(folder)).toEqual([]);
  });

  it('go with their object, and when its end is told otherwise', () => {
    const records = openRestoreRecords(folder);
    records.note(change(held, undefined));
    records.note(change(undefined, held));
    expect(readdirSync(folder)).toEqual([]);
    records.note(change(held, undefined));
    records.forget('uid-r');
    expect(readdirSync(folder)).toEqual([]);
  });

  it('of the version before, whose API was v1, are recovered', () => {
    const record = { ...held, apiVersion: 'pgbackup.dev/v1' };
    writeFileSync(join(folder, 'uid-r.json'), JSON.stringify(record));
    expect(openRestoreRecords(folder).left).toEqual([held]);
  });

  it('that cannot be understood are left alone', () => {
    writeFileSync(join(folder, 'a.json'), '{"kind"');
    writeFileSync(
      join(folder, 'b.json'),
      '{"apiVersion":"pgbackup.dev/v1beta1","kind":"RestoreRequest","metadata":{},"spec":{}}',
    );
    expect(openRestoreRecords(folder).left).toEqual([]);
    expect(readdirSync(folder)).toEqual(['a.json', 'b.json']);
  });
});

describe('restores that were killed', () => {
  const secret = (name: string): LoadedObject => ({
    origin: 'a.yaml:1',
    object: { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace: 'default' } },
  });
  const recover = async (objects: readonly LoadedObject[]) => {
    const uids = new Map([['RestoreRequest default/r', 'uid-before']]);
    const client = openLocalClient({ clock: systemClock, random: systemRandom, readLog: async () => '', uids });
    const recovery = await recoverRestores(client, [held], objects, Date.UTC(2026, 0, 1), never);
    const { items } = await client.list(resources.restoreRequest, {}, never);
    return { client, recovery, items: items as unknown as readonly RestoreRequest[] };
  };

  it('are made again as dead ones, with their uid, by which their databases are known', async () => {
    const { client, recovery, items } = await recover([secret('db')]);
    expect(recovery).toEqual({ recovered: [held], stranded: [] });
    expect(items).toMatchObject([
      {
        metadata: { name: 'r', uid: 'uid-before', finalizers: [finalizer] },
        status: {
          job: 'pgrr-r',
          startedAt: '2026-01-01T03:00:00Z',
          failure: { reason: 'RunnerKilled', at: '2026-01-01T00:00:00Z' },
        },
      },
    ]);
    await client.delete(resources.restoreRequest, 'default', 'r', {}, never);
    const [gone] = (await client.list(resources.restoreRequest, {}, never)).items;
    if (gone !== undefined) {
      await client.put(resources.restoreRequest, { ...gone, metadata: { ...gone.metadata, finalizers: [] } }, never);
    }
    const { apiVersion, kind, spec } = held;
    const metadata = { name: 'r', namespace: 'default' };
    const again = await client.create(resources.restoreRequest, { apiVersion, kind, metadata, spec }, never);
    expect(again.metadata.uid).not.toBe('uid-before');
  });

  it('wait for files with their Secret', async () => {
    const { recovery, items } = await recover([secret('other')]);
    expect(items).toEqual([]);
    expect(recovery.recovered).toEqual([]);
    expect(recovery.stranded).toEqual([
      expect.stringMatching(/^RestoreRequest r was killed, .* Secret db in namespace default$/),
    ]);
  });
});
