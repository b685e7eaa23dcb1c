import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { imageName } from '../../src/codegen/install.ts';
import { until } from '../local/executor-world.ts';
import { findBackups } from '../local/found-backups.ts';
import { whyNoKubeApiserver } from '../servers/kube-apiserver.ts';
import { startOperatorStand, type OperatorStand } from './operator-stand.ts';

const assets = process.env['KUBEBUILDER_ASSETS'];
const missing = whyNoKubeApiserver(assets, 'kube-controller-manager', 'kubectl');
const install = readFileSync(new URL('../../manifests/install.yaml', import.meta.url), 'utf8');
/** So long a restore holds still before its swap. */
const pause = 'SELECT pg_sleep(300)';

describe.skipIf(missing !== undefined)(`Uninstalling${missing ? ` (${missing})` : ''}`, () => {
  let stand: OperatorStand;
  let stopController: () => Promise<void>;

  const object = (kind: string, name: string, spec: object): object => ({
    apiVersion: 'pgbackup.dev/v1beta1',
    kind,
    metadata: { name },
    spec,
  });
  const databases = async (): Promise<readonly string[]> => {
    const rows = await stand.server.sql<{ datname: string }>(
      'SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY 1',
    );
    return rows.map(({ datname }) => datname);
  };

  beforeEach(async () => {
    stand = await startOperatorStand(assets ?? '', install);
    stopController = await stand.startController('pgbackup-system');
    const postgres = {
      host: stand.server.host,
      port: stand.server.port,
      tls: { mode: 'disable' },
      credentials: { secretName: 'login' },
    };
    await stand.kubectl(['apply', '-f', '-'], ...stand.objects, object('Backup', 'now', { policy: 'nightly' }));
    await stand.kubectl(['wait', '--for=condition=Succeeded', 'pgb/now', '--timeout=120s']);
    const spec = {
      source: { backup: { name: 'now' } },
      target: { postgres, database: 'shop' },
      afterSql: [pause],
    };
    const schedule = '0 0 1 1 *';
    const template = { spec };
    await stand.kubectl(
      ['apply', '-f', '-'],
      object('RestoreRequest', 'running', spec),
      object('RestorePolicy', 'yearly', { schedule, template }),
    );
    await until('a restore that sleeps', async () => {
      const rows = await stand.server.sql(`SELECT 1 FROM pg_stat_activity WHERE query = '${pause}'`);
      return rows.length > 0;
    });
    expect(await databases()).toHaveLength(3);
  });
  afterEach(async () => stand?.stop());

  /** Of all that install.yaml made, and of what they owned. */
  const whatIsLeft = async (): Promise<string> => {
    const kinds = 'clusterroles,clusterrolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings,crds';
    const named = await stand.kubectl(['get', kinds, '-o', 'name']);
    return named
      .split('\n')
      .filter((name) => name.includes('pgbackup'))
      .join(' ');
  };

  it('in the order that is documented ends while a restore runs, and leaves data, Secrets and target as they are', async () => {
    await stand.kubectl(['delete', 'pgrp,pgrr', '-A', '--all', '--timeout=120s']);
    expect(await databases()).toEqual(['postgres', 'shop']);
    // With it goes its account, and so does whoever leads.
    await stand.kubectl(['delete', '--timeout=120s', '-f', '-'], ...documents());
    await stopController();
    expect(await whatIsLeft()).toBe('');
    expect(await stand.kubectl(['get', 'secret', '-o', 'name'])).toBe('secret/login\n');
    await until('the Jobs have gone with their owners', async () => {
      return (await stand.kubectl(['get', 'jobs,pods', '-A', '-o', 'name'])) === '';
    });
    expect(findBackups(stand.backups)).toMatchObject([{ id: 'now', databases: ['shop'] }]);

    // It is there again with the next installation.
    await stand.install(install);
    await stand.startController('pgbackup-system');
    await stand.kubectl(['apply', '-f', '-'], ...stand.objects);
    await until('the backup is found', async () => {
      const { exitCode } = await stand.ask(['get', 'pgb', 'now']);
      return exitCode === 0;
    });
    await stand.kubectl(['wait', '--for=condition=Succeeded', 'pgb/now', '--timeout=60s']);
  });

  it('in any other order waits for the restore, and ends when the operator is installed once more', async () => {
    const { exitCode, stderr } = await stand.ask(['delete', '--timeout=20s', '-f', '-'], ...documents());
    await stopController();
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/timed out waiting for the condition on .*restorerequests/);
    expect(await whatIsLeft()).toBe('customresourcedefinition.apiextensions.k8s.io/restorerequests.pgbackup.dev');
    await until('the namespace is gone', async () => {
      const found = await stand.ask(['get', 'namespace', 'pgbackup-system']);
      return found.exitCode !== 0;
    });

    await stand.install(install);
    await stand.startController('pgbackup-system');
    await stand.kubectl(['wait', '--for=delete', 'crd/restorerequests.pgbackup.dev', '--timeout=120s']);
    expect(await databases()).toEqual(['postgres', 'shop']);
    await stand.kubectl(['delete', '--timeout=120s', '--ignore-not-found', '-f', '-'], ...documents());
    expect(await whatIsLeft()).toBe('');
  });
});

const documents = (): readonly object[] =>
  parseAllDocuments(install.replaceAll(imageName, 'kube.test/pgbackup')).map((each) => each.toJS() as object);
