import { readFileSync } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../local/executor-world.ts';
import { findBackups } from '../local/found-backups.ts';
import { whyNoKubeApiserver } from '../servers/kube-apiserver.ts';
import { startOperatorStand, type OperatorStand } from './operator-stand.ts';

const assets = process.env['KUBEBUILDER_ASSETS'];
const missing = whyNoKubeApiserver(assets, 'kube-controller-manager', 'kubectl');
const install = readFileSync(new URL('../../manifests/install.yaml', import.meta.url), 'utf8');

/** With the rights that install.yaml gives, real runners and a real folder. */
describe.skipIf(missing !== undefined)(`Retention, deletion and repair${missing ? ` (${missing})` : ''}`, () => {
  let stand: OperatorStand;

  beforeAll(async () => {
    stand = await startOperatorStand(assets ?? '', install);
    await stand.startController('pgbackup-system');
    await stand.kubectl(['apply', '-f', '-'], ...stand.objects);
  }, 120_000);
  afterAll(async () => stand?.stop());

  const merge = async (object: string, patch: object): Promise<string> =>
    stand.kubectl(['patch', object, '--type=merge', '-p', JSON.stringify(patch)]);
  const backUp = async (name: string, namespace = 'default'): Promise<void> => {
    const object = {
      apiVersion: 'pgbackup.dev/v1beta1',
      kind: 'Backup',
      metadata: { name, namespace },
      spec: { policy: 'nightly' },
    };
    await stand.kubectl(['create', '-f', '-'], object);
    await stand.kubectl(['-n', namespace, 'wait', '--for=condition=Succeeded', `pgb/${name}`, '--timeout=120s']);
  };
  const stored = (): readonly string[] =>
    findBackups(stand.backups)
      .map(({ id }) => id)
      .toSorted();
  const get = async (object: string, path: string): Promise<string> =>
    stand.kubectl(['get', object, '-o', `jsonpath=${path}`]);

  it('removes what no rule keeps after a success, but what is pinned', async () => {
    for (const name of ['one', 'two', 'three']) await backUp(name);
    await stand.kubectl(['annotate', 'pgb/one', 'pgbackup.dev/pin=before the migration']);
    await merge('pgbp/nightly', { spec: { retention: { keepLast: 1 } } });
    await until('one is removed', async () => (await get('pgbp/nightly', '{.status.prunes[0].removed}')) === '1');
    expect(stored()).toEqual(['one', 'three']);
    await stand.kubectl(['wait', '--for=condition=Pruned', 'pgbp/nightly', '--timeout=60s']);
    expect(await get('pgb/two', '{.status.destinations[0].outcome} {.status.copies}')).toBe('Removed 0/0');
    expect(await get('pgb/one', '{.status.destinations[0].outcome} {.status.copies}')).toBe('Stored 1/1');
    expect(await get('pgbp/nightly', '{.status.prunes[0].kept} {.status.prunes[0].removed}')).toBe('2 1');
    expect(await stand.kubectl(['get', 'events', '-o', 'jsonpath={.items[*].reason}'])).toContain('BackupsRemoved');
  });

  it('takes the data of a Backup along when it is deleted, if it should, and gives the object back if not', async () => {
    await merge('pgb/one', { spec: { deletionPolicy: 'Delete' } });
    await stand.kubectl(['delete', 'pgb/one', '--timeout=120s']);
    expect(stored()).toEqual(['three']);
    await stand.kubectl(['delete', 'pgb/three', '--timeout=60s']);
    expect(stored()).toEqual(['three']);
    await stand.kubectl(['annotate', 'pgbl/disk', 'pgbackup.dev/probe-requested-at=now']);
    await until('it is shown again', async () => (await stand.kubectl(['get', 'pgb', '-o', 'name'])).includes('three'));
    expect(await get('pgb/three', '{.status.destinations[0].outcome}')).toBe('Found');
  });

  it('copies to a new destination what it should have, and what it missed while it was away', async () => {
    const path = join(stand.nodeFolder, 'mirror');
    await mkdir(path);
    const mirror = {
      apiVersion: 'pgbackup.dev/v1beta1',
      kind: 'BackupLocation',
      metadata: { name: 'mirror' },
      spec: { directory: { path } },
    };
    await stand.kubectl(['apply', '-f', '-'], mirror);
    await stand.kubectl(['wait', '--for=condition=Available', 'pgbl/mirror', '--timeout=60s']);
    await merge('pgbp/nightly', { spec: { retention: null } });
    await backUp('five');
    const destinations = [{ location: 'disk' }, { location: 'mirror', required: false, backfill: 1 }];
    await merge('pgbp/nightly', { spec: { repair: {}, destinations } });
    const copies = (): string =>
      findBackups(path)
        .map(({ id }) => id)
        .join();
    await until('it is copied', async () => (await get('pgbp/nightly', '{.status.repairs[1].copied}')) === '1');
    expect(copies()).toBe('five');
    await until('that is said', async () => (await get('pgb/five', '{.status.copies}')) === '2/2');

    // It is away for a run, and comes back as it was.
    await rename(path, `${path}.away`);
    await backUp('six');
    expect(await get('pgb/six', '{.status.destinations[1].outcome}')).toBe('Failed');
    await rename(`${path}.away`, path);
    await stand.kubectl(['annotate', 'pgbl/mirror', 'pgbackup.dev/probe-requested-at=now']);
    await stand.kubectl(['wait', '--for=condition=Available', 'pgbl/mirror', '--timeout=60s']);
    await stand.kubectl(['annotate', 'pgbp/nightly', 'pgbackup.dev/repair-requested-at=now']);
    await until('the other one, too', async () => (await get('pgbp/nightly', '{.status.repairs[1].copied}')) === '2');
    expect(copies()).toBe('five,six');
    await stand.kubectl(['wait', '--for=condition=Repaired', 'pgbp/nightly', '--timeout=60s']);
    expect(await get('pgb/six', '{.status.destinations[1].outcome} {.status.copies}')).toBe('Stored 2/2');
  });

  it('leaves the data where a whole namespace is deleted, and does not hold it up', async () => {
    await stand.kubectl(['create', 'namespace', 'doomed']);
    await stand.kubectl(['-n', 'doomed', 'apply', '-f', '-'], ...stand.objects);
    await backUp('four', 'doomed');
    await stand.kubectl([
      '-n',
      'doomed',
      'patch',
      'pgb/four',
      '--type=merge',
      '-p',
      '{"spec":{"deletionPolicy":"Delete"}}',
    ]);
    await until(
      'it is held',
      async () =>
        (await stand.kubectl(['-n', 'doomed', 'get', 'pgb/four', '-o', 'jsonpath={.metadata.finalizers}'])) !== '',
    );
    await stand.kubectl(['delete', 'namespace', 'doomed', '--timeout=180s']);
    expect(stored()).toEqual(['five', 'four', 'six', 'three']);
  });
});
