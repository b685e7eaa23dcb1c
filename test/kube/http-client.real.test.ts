import { describe } from 'vitest';
import type { ResourceType } from '../../src/kube/client.ts';
import { openKubeClient } from '../../src/kube/http-client.ts';
import { systemClock } from '../../src/support/clock.ts';
import { startKubeApiserver, whyNoKubeApiserver } from '../servers/kube-apiserver.ts';
import { describeKubeConformance } from '../suites/kube-conformance.ts';
import { widgetCrd, widgetType } from '../suites/widget.ts';

const assets = process.env['KUBEBUILDER_ASSETS'];
const skipped = whyNoKubeApiserver(assets, 'kube-controller-manager');

const crdType: ResourceType = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
  namespaced: false,
};
const namespaceType: ResourceType = {
  group: '',
  version: 'v1',
  kind: 'Namespace',
  plural: 'namespaces',
  namespaced: false,
};

describe.skipIf(skipped)(`the client of a real API server${skipped ? ` (skipped: ${skipped})` : ''}`, () => {
  describeKubeConformance(async () => {
    const server = await startKubeApiserver(assets ?? '');
    const { signal } = new AbortController();
    const client = await openKubeClient({
      source: { kind: 'text', text: server.kubeconfig },
      clock: systemClock,
      userAgent: 'pgbackup-test',
    });
    await client.create(crdType, widgetCrd, signal);
    // Established is told before every part of the server serves the kind: the first good list is the truth.
    await waitFor(() => client.list(widgetType, {}, signal));
    await server.startControllers('garbage-collector-controller');
    const { resourceVersion: first = '' } =
      (await client.get(namespaceType, undefined, 'default', signal))?.metadata ?? {};
    let namespaces = 0;
    return {
      client,
      newNamespace: async () => {
        const name = `ns-${(namespaces += 1)}`;
        await client.create(namespaceType, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } }, signal);
        return name;
      },
      // The server's watch cache of a kind begins when the kind does: what is older is not remembered.
      expiredVersion: async () => first,
      stop: async () => {
        client.close();
        await server.stop();
      },
    };
  });
});

async function waitFor(attempt: () => Promise<unknown>): Promise<void> {
  for (let left = 300; ; left -= 1) {
    try {
      await attempt();
      return;
    } catch (error) {
      if (left === 0) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
