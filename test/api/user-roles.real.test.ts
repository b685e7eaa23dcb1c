import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { kinds } from '../../src/api/kinds.ts';
import { until } from '../local/executor-world.ts';
import { startKubeApiserver, whyNoKubeApiserver, type KubeApiserver } from '../servers/kube-apiserver.ts';
import { askKubectl, runKubectl } from '../servers/run-kubectl.ts';

const assets = process.env['KUBEBUILDER_ASSETS'] ?? '';
const missing = whyNoKubeApiserver(assets, 'kube-controller-manager', 'kubectl');
const namespaced = readFileSync(new URL('../../manifests/install-namespaced.yaml', import.meta.url), 'utf8');
const install = readFileSync(new URL('../../manifests/install.yaml', import.meta.url), 'utf8');

describe.skipIf(missing !== undefined)(`Roles of people in a namespace${missing ? ` (${missing})` : ''}`, () => {
  let server: KubeApiserver;
  const may = async (user: string, verb: string, what: string, ...more: readonly string[]): Promise<string> => {
    const args = ['auth', 'can-i', verb, what, '-n', 'shop', '--as', user, ...more];
    return (await askKubectl(assets, server, args)).stdout.trim();
  };
  const all = kinds.map(({ plural }) => `${plural}.pgbackup.dev`);

  beforeAll(async () => {
    server = await startKubeApiserver(assets);
    await runKubectl(assets, server, ['apply', '-f', '-'], install);
    await server.startControllers('clusterrole-aggregation-controller');
    await runKubectl(assets, server, ['create', 'namespace', 'shop']);
    for (const role of ['view', 'edit', 'admin']) {
      const binding = ['-n', 'shop', 'create', 'rolebinding', role, `--clusterrole=${role}`, `--user=${role}`];
      await runKubectl(assets, server, binding);
    }
    for (const role of ['view', 'edit', 'admin']) {
      await until('the roles are gathered', async () => (await may(role, 'list', all[0] ?? '')) === 'yes');
    }
  });
  afterAll(async () => server?.stop());

  it('let viewers see all kinds and write none', async () => {
    for (const what of all) {
      expect(await may('view', 'watch', what), what).toBe('yes');
      for (const verb of ['create', 'patch', 'delete']) expect(await may('view', verb, what), what).toBe('no');
    }
  });

  it.each(['edit', 'admin'])(
    'let those with %s write all kinds, there and not elsewhere, and no status',
    async (role) => {
      for (const what of all) {
        for (const verb of ['get', 'create', 'patch', 'delete']) expect(await may(role, verb, what), what).toBe('yes');
        expect(await may(role, 'create', what, '-n', 'default'), what).toBe('no');
        expect(await may(role, 'update', what, '--subresource=status'), what).toBe('no');
      }
    },
  );

  it('come with the install of one namespace, too, for whom is bound to them there', async () => {
    await runKubectl(assets, server, ['apply', '-f', '-'], namespaced.replaceAll('my-namespace', 'shop'));
    for (const part of ['view', 'edit']) {
      expect(await may(`own-${part}`, 'get', all[0] ?? ''), part).toBe('no');
      const binding = ['create', 'rolebinding', `own-${part}`, `--role=pgbackup-operator-${part}`];
      await runKubectl(assets, server, ['-n', 'shop', ...binding, `--user=own-${part}`]);
      await until('the binding is seen', async () => (await may(`own-${part}`, 'get', all[0] ?? '')) === 'yes');
    }
    for (const what of all) {
      expect(await may('own-view', 'create', what), what).toBe('no');
      for (const verb of ['watch', 'create', 'patch', 'delete'])
        expect(await may('own-edit', verb, what), what).toBe('yes');
      for (const user of ['own-view', 'own-edit'])
        expect(await may(user, 'get', what, '-n', 'default'), what).toBe('no');
      expect(await may('own-edit', 'update', what, '--subresource=status'), what).toBe('no');
    }
  });
});
