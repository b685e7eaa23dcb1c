import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { crdType } from '../api/start-with-crds.ts';
import { resources } from '../../src/controller/resources.ts';
import { isKubeError, type KubeObject, type ResourceType } from '../../src/kube/client.ts';
import { openKubeClient, type HttpKubeClient } from '../../src/kube/http-client.ts';
import { secretType } from '../../src/local/workload-types.ts';
import { systemClock } from '../../src/support/clock.ts';
import { until } from '../local/executor-world.ts';
import { startKubeApiserver, whyNoKubeApiserver, type KubeApiserver } from '../servers/kube-apiserver.ts';
import { compileCache } from '../compile-cache.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const assets = process.env['KUBEBUILDER_ASSETS'];
const missing = whyNoKubeApiserver(assets);
const never = new AbortController().signal;

const accountType = { group: '', version: 'v1', kind: 'ServiceAccount', plural: 'serviceaccounts', namespaced: true };
const { location, policy, backup, restoreRequest, restorePolicy } = resources;
const ourTypes = [location, policy, backup, restoreRequest, restorePolicy];

describe.skipIf(missing !== undefined)(
  `pgbackup controller on a real API server (${missing ?? 'there is one'})`,
  () => {
    let server: KubeApiserver;
    let client: HttpKubeClient;
    beforeAll(async () => {
      server = await startKubeApiserver(assets ?? '');
      client = await openKubeClient({
        source: { kind: 'text', text: server.kubeconfig },
        clock: systemClock,
        userAgent: 'test',
      });
      const folder = join(root, 'crds');
      for (const file of readdirSync(folder)) {
        await client.create(crdType, parse(readFileSync(join(folder, file), 'utf8')) as KubeObject, never);
      }
      for (const type of ourTypes) {
        await until(`${type.plural} are served`, async () =>
          client.list(type, { namespace: 'default' }, never).catch((error: unknown) => {
            if (isKubeError(error)) return undefined;
            throw error;
          }),
        );
      }
    });
    afterAll(async () => {
      client?.close();
      await server?.stop();
    });

    it('takes every example, judges it, makes the Jobs it needs, and ends well at SIGTERM', async () => {
      const examples = readExamples();
      for (const { type, object } of examples) await client.create(type, object, never);
      expect(examples.length).toBeGreaterThan(10);

      // As in a Deployment: the image is named once, for the controller.
      const containers = ['sidecar', 'controller'].map((name) => ({ name, image: `test/${name}:1` }));
      const own = {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'own', namespace: 'default' },
        spec: { containers },
      };
      const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace: 'default' } };
      await client.create(accountType, account, never);
      await client.create(resources.pod, own, never);
      const args = ['controller', '--kubeconfig', server.kubeconfigPath, '--metrics-port', '0'];
      const controller = start(args, { POD_NAME: 'own' });
      try {
        const port = await until('it listens', async () => {
          const line = controller
            .output()
            .split('\n')
            .find((text) => text.includes('"message":"started"'));
          return line !== undefined && (JSON.parse(line) as { port: number }).port;
        });
        const get = async (path: string) => fetch(`http://127.0.0.1:${port}${path}`);
        await until('it is ready', async () => (await get('/readyz')).ok);
        expect((await get('/healthz')).status).toBe(200);
        expect((await get('/nothing')).status).toBe(404);

        const job = await until('the manual backup has its Job', async () =>
          client.get(resources.job, 'default', 'pgb-before-upgrade', never),
        );
        expect(JSON.stringify(job.spec)).toContain('"image":"test/controller:1"');
        expect(JSON.stringify(job)).not.toContain('replace-me');
        const policies = await until('policies are judged', async () => {
          const { items } = await client.list(resources.policy, { namespace: 'default' }, never);
          return (
            items.every(({ status }) => (status as { conditions?: unknown } | undefined)?.conditions !== undefined) &&
            items
          );
        });
        expect(policies.map(({ metadata }) => metadata.name)).toEqual(
          expect.arrayContaining(['full', 'nightly', 'shop']),
        );
        const restores = await until('restores are judged', async () => {
          const types = [restoreRequest, restorePolicy];
          const lists = await Promise.all(types.map((type) => client.list(type, { namespace: 'default' }, never)));
          const objects = lists.flatMap(({ items }) => items);
          return objects.every(({ status }) => status !== undefined) && objects;
        });
        expect(restores.map(({ metadata }) => metadata.name)).toEqual(
          expect.arrayContaining(['one-table', 'refresh-staging', 'shop-back']),
        );
        const metrics = await (await get('/metrics')).text();
        expect(metrics).toMatch(/^pgbackup_restore_policy_info\{.*policy="refresh-staging".*\} 1$/m);
        expect(metrics).toMatch(/^pgbackup_policy_info\{.*policy="nightly".*\} 1$/m);
      } finally {
        controller.child.kill('SIGTERM');
      }
      expect(await controller.exitCode, controller.output()).toBe(0);
      const told = controller
        .output()
        .split('\n')
        .filter((line) => line.includes('"message":"event"'));
      expect(told).toContainEqual(expect.stringMatching(/"name":"before-upgrade".*"reason":"JobCreated"/));
    });

    it.each([{}, { POD_NAME: 'nobody' }])(
      'says what is wrong when the image of runners is not known: %j',
      async (env) => {
        const lost = start(['controller', '--kubeconfig', server.kubeconfigPath, '--metrics-port', '0'], env);
        expect(await lost.exitCode).toBe(78);
        expect(lost.output()).toMatch(
          /^error: the image of runners is not known: .*\nhint: name it with --runner-image/m,
        );
      },
    );

    it('says what is wrong when there is no kubeconfig', async () => {
      const lost = start(['controller', '--runner-image', 'x', '--kubeconfig', '/nowhere/config']);
      expect(await lost.exitCode).toBe(78);
      expect(lost.output()).toMatch(/^error: the kubeconfig \/nowhere\/config cannot be read\nhint: /);
    });
  },
);

function readExamples(): readonly { readonly type: ResourceType; readonly object: KubeObject }[] {
  const folder = join(root, 'manifests/examples');
  const types = [secretType, ...ourTypes];
  return readdirSync(folder).flatMap((file) =>
    [...parseAllDocuments(readFileSync(join(folder, file), 'utf8'))].map((document) => {
      const read = (document as { toJS(): unknown }).toJS() as KubeObject;
      const object = { ...read, metadata: { ...read.metadata, namespace: 'default' } };
      const type = types.find(({ kind }) => kind === object.kind);
      if (type === undefined) throw new Error(`${file}: no type for ${object.kind}`);
      return { type, object };
    }),
  );
}

function start(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const child = spawn(process.execPath, [join(root, 'src/main.ts'), ...args], {
    env: { ...compileCache, PATH: '/usr/bin:/bin', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let written = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (piece: Buffer) => (written += piece.toString()));
  const exitCode = new Promise<number>((resolve) => child.once('close', (code) => resolve(code ?? 128)));
  return { child, exitCode, output: () => written };
}
