import { describe, expect, it } from 'vitest';
import type { Kind } from '../../src/api/kind.ts';
import { apiGroup, apiVersionName, kinds } from '../../src/api/kinds.ts';
import { validateObject } from '../../src/api/validate.ts';
import type { KubeObject, ResourceType } from '../../src/kube/client.ts';
import { createMemoryClient } from '../../src/apiserver/memory-client.ts';
import { systemRandom } from '../../src/support/clock.ts';
import { ManualClock } from '../kube/manual-clock.ts';
import { badObjects } from './bad-objects.ts';
import { goodObjects } from './good-objects.ts';
import type { TestObject } from './object-cases.ts';

const signal = new AbortController().signal;
const namespace = 'default';

const typeOf = ({ kind, plural }: Kind): ResourceType => ({
  group: apiGroup,
  version: apiVersionName,
  kind,
  plural,
  namespaced: true,
});

/** Creates (and replaces) an object in a new embedded API server and returns what it holds then. */
async function store(object: TestObject, old: TestObject | undefined): Promise<KubeObject> {
  const client = createMemoryClient({
    clock: new ManualClock(),
    random: systemRandom,
    types: kinds.map((kind) => ({
      type: typeOf(kind),
      statusSubresource: true,
      validate: (now: KubeObject, before: KubeObject | undefined) => validateObject(kind, now, before),
    })),
  });
  const kind = kinds.find((candidate) => candidate.kind === object.kind);
  if (!kind) throw new Error(`no kind ${object.kind}`);
  const type = typeOf(kind);
  const inNamespace = (given: TestObject, metadata: object = {}) => ({
    ...given,
    metadata: { ...given.metadata, namespace, ...metadata },
  });
  const created = await client.create(type, inNamespace(old ?? object), signal);
  if (old) await client.put(type, inNamespace(object, created.metadata), signal);
  const stored = await client.get(type, namespace, object.metadata.name, signal);
  if (!stored) throw new Error('nothing was stored');
  return stored;
}

describe('The embedded API server', () => {
  it.each(badObjects)('refuses $name', async ({ object, old, error }) => {
    await expect(store(object, old)).rejects.toThrow(error);
  });

  it.each(goodObjects)('accepts $name', async ({ object, old }) => {
    const stored = await store(object, old);

    expect(stored.metadata.generation).toBeGreaterThan(0);
    expect(stored.spec).toMatchObject(object.kind === 'Backup' ? (object.spec as object) : {});
  });
});
