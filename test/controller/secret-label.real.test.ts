import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { createBackupJob } from '../../src/controller/backup/job.ts';
import { createInspectJob } from '../../src/controller/location/job.ts';
import { createRestoreJob } from '../../src/controller/restore/job.ts';
import { resources } from '../../src/controller/resources.ts';
import { isKubeError, type KubeObject, type ResourceType } from '../../src/kube/client.ts';
import { core, startWithCrds, type Cluster } from '../api/start-with-crds.ts';
import { buildBackup, buildLocation, buildPolicy, buildRestore } from '../builders/objects.ts';
import { whyNoKubeApiserver } from '../servers/kube-apiserver.ts';
import { testMode } from './fake-cluster.ts';

const assets = process.env['KUBEBUILDER_ASSETS'];
const missing = whyNoKubeApiserver(assets);
const { signal } = new AbortController();
const namespace = 'shop';
const admission = (kind: string): ResourceType => ({
  group: 'admissionregistration.k8s.io',
  version: 'v1',
  kind,
  plural: `${kind.slice(0, -1).toLowerCase()}${kind.endsWith('y') ? 'ies' : `${kind.at(-1)}s`}`,
  namespaced: false,
});
const manifest = new URL('../../manifests/admission/secret-label.yaml', import.meta.url);
const documents = [...parseAllDocuments(readFileSync(manifest, 'utf8'))].map(
  (document) => (document as { toJS(): unknown }).toJS() as KubeObject,
);

const location = buildLocation({
  spec: { s3: { bucket: 'backups', region: 'eu-central-1', credentials: { secretName: 'bucket-key' } } },
});
const policy = buildPolicy({
  spec: { source: { postgres: { host: 'db', credentials: { secretName: 'reader' }, databases: { all: true } } } },
});
const copy = { location: 'near', outcome: 'Stored', manifestKey: 'key', manifestSha256: 'a'.repeat(64) } as const;
const source = { state: 'found', backup: buildBackup(), copies: [{ copy, location }] } as const;
const jobs = {
  backup: createBackupJob(buildBackup(), policy, [{ location, required: true }], testMode, Date.UTC(2026, 0, 1, 3)),
  inspection: createInspectJob(location, testMode, {
    policies: [],
    unfinished: [],
    backupNamed: () => undefined,
    heldAfter: () => [],
  }),
  restore: createRestoreJob(buildRestore(), source, testMode),
};

describe.skipIf(missing !== undefined)(`The label on Secrets${missing ? ` (skipped: ${missing})` : ''}`, () => {
  let cluster: Cluster;
  let count = 0;
  /** What the server says to such a Job; undefined: it is taken. */
  const refusal = async (job: KubeObject): Promise<string | undefined> => {
    count += 1;
    const { ownerReferences: _, ...metadata } = job.metadata;
    const object = { ...job, metadata: { ...metadata, name: `run-${count}`, namespace } };
    try {
      await cluster.client.create(resources.job, object, signal);
      return undefined;
    } catch (error) {
      if (!isKubeError(error)) throw error;
      return error.message;
    }
  };
  const secretNames = (job: KubeObject): readonly string[] =>
    [...new Set(JSON.stringify(job).match(/(?<="secretName":")[^"\\]+/g))].toSorted();
  const label = async (name: string, labels: Readonly<Record<string, string>>): Promise<void> => {
    const secret = await cluster.client.get(core('Secret', 'secrets'), namespace, name, signal);
    if (secret === undefined) throw new Error(`no ${name}`);
    const metadata = { ...secret.metadata, labels };
    await cluster.client.put(core('Secret', 'secrets'), { ...secret, metadata }, signal);
  };
  const eventually = (work: () => Promise<void>) => vi.waitFor(work, { timeout: 60_000, interval: 200 });

  beforeAll(async () => {
    cluster = await startWithCrds(assets ?? '', signal);
    const named = { apiVersion: 'v1', metadata: { name: namespace } };
    await cluster.client.create(core('Namespace', 'namespaces', false), { ...named, kind: 'Namespace' }, signal);
    const names = new Set([...Object.values(jobs).flatMap(({ object }) => secretNames(object)), 'other']);
    for (const name of names)
      await cluster.client.create(
        core('Secret', 'secrets'),
        { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace } },
        signal,
      );
    for (const document of documents) await cluster.client.create(admission(document.kind ?? ''), document, signal);
  });
  afterAll(async () => cluster?.stop());

  it('is demanded of every Secret that a run mounts', async () => {
    // The server reads new policies when it comes to it.
    await eventually(async () => expect(await refusal(jobs.backup.object)).toContain('pgbackup.dev/use=true'));
    for (const { object } of Object.values(jobs)) {
      const names = secretNames(object);
      expect(names.length).toBeGreaterThan(0);
      for (const name of names) {
        // All the others have it.
        await Promise.all(names.map((each) => label(each, each === name ? {} : { 'pgbackup.dev/use': 'true' })));
        await eventually(async () => expect(await refusal(object)).toContain(`the Secret ${name} is not for backups`));
        await label(name, { 'pgbackup.dev/use': 'false' });
        expect(await refusal(object)).toContain(`the Secret ${name} is not for backups`);
      }
      await Promise.all(names.map((each) => label(each, { 'pgbackup.dev/use': 'true' })));
      await eventually(async () => expect(await refusal(object)).toBeUndefined());
    }
  });

  it('is nobody else’s: other Jobs use what they like', async () => {
    const { object } = jobs.backup;
    const names = secretNames(object);
    await Promise.all(names.map((each) => label(each, {})));
    await eventually(async () => expect(await refusal(object)).toContain('is not for backups'));
    // A Job without labels gets those of its pods.
    const metadata = { ...object.metadata, labels: { app: 'other' } };
    expect(await refusal({ ...object, metadata })).toBeUndefined();
  });

  it('is demanded again when the rule was deleted and is applied once more', async () => {
    const { object } = jobs.backup;
    await eventually(async () => expect(await refusal(object)).toContain('is not for backups'));
    for (const { kind = '', metadata } of documents) {
      await cluster.client.delete(admission(kind), undefined, metadata.name ?? '', {}, signal);
    }
    await eventually(async () => expect(await refusal(object)).toBeUndefined());
    const [name = ''] = secretNames(object);
    await label(name, { 'pgbackup.dev/use': 'true' });
    for (const document of documents) await cluster.client.create(admission(document.kind ?? ''), document, signal);
    await eventually(async () => expect(await refusal(object)).toMatch(/is not for backups/));
    expect(await refusal(object)).not.toContain(`the Secret ${name} is`);
  });
});
