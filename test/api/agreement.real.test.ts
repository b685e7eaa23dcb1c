import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as fc from 'fast-check';
import { validateObject } from '../../src/api/validate.ts';
import { isKubeError } from '../../src/kube/client.ts';
import { whyNoKubeApiserver } from '../servers/kube-apiserver.ts';
import { goodObjects } from './good-objects.ts';
import type { TestObject } from './object-cases.ts';
import { kindOf, startWithCrds, typeOf, type Cluster } from './start-with-crds.ts';

const assets = process.env['KUBEBUILDER_ASSETS'];
const missing = whyNoKubeApiserver(assets);
const signal = new AbortController().signal;
const namespace = 'default';
const runs = 1000;

type Path = readonly (string | number)[];

/** Every place below spec. */
function listPaths(value: unknown, path: Path): Path[] {
  if (typeof value !== 'object' || value === null) return [path];
  const keys = Array.isArray(value) ? value.map((_, index) => index) : Object.keys(value);
  return [path, ...keys.flatMap((key) => listPaths((value as Record<string | number, unknown>)[key], [...path, key]))];
}

function replaceAt(value: unknown, [step, ...rest]: Path, next: unknown): unknown {
  if (step === undefined) return next;
  const copy = (Array.isArray(value) ? [...(value as unknown[])] : { ...(value as object) }) as Record<string, unknown>;
  if (rest.length === 0 && next === undefined && !Array.isArray(copy)) delete copy[step];
  else copy[step] = replaceAt(copy[step], rest, next ?? null);
  return copy;
}

const oddValues = fc.oneof(
  fc.constantFrom<unknown>(
    undefined,
    null,
    '',
    'a',
    'A',
    'a-b',
    'a.b',
    '-',
    '..',
    '/',
    'a/b',
    'a//b',
    ' ',
    'a b',
    'a\n',
    'a\u2028b',
    'ä',
    '\u00A0',
    '💾',
    0,
    1,
    -1,
    1.5,
    22,
    64,
    3600,
    65_536,
    1e12,
    2 ** 53,
    true,
    false,
    [],
    {},
    ['a'],
    ['a', 'a'],
    [null],
    [1],
    [{}],
    { a: 'b' },
    { a: null },
    { a: 1 },
    'https://example.com',
    'http://[::1]:9000',
    'https://a:99999/x',
    'http://1.2.3.4.5',
    'http://1.2.3',
    'http://01.2.3.4',
    'https://a:1:2',
    'https://a.b:/x',
    'http://a/b:70000',
    '* * * * *',
    '@daily',
    '@weekly ',
    '2026-01-01T00:00:00Z',
    '2026-01-01T24:00:00Z',
    '2026-01-01T00:00:60Z',
    '2024-02-29T12:00:00.123456789-23:59',
    '0000-01-01T00:00:00Z',
    '2026-01-01T00:00:00',
    'gzip',
    'none',
    'AES256',
    'ReadOnly',
    'Exists',
    'Equal',
    'x'.repeat(64),
    'x'.repeat(254),
    'x'.repeat(600),
    '1Gi',
    '1.5',
    '-1',
    'ssh-rsa AAAA',
    'host ssh-rsa AAAA comment',
    '::1',
    'a_b',
    'constructor',
    '__proto__',
  ),
  fc.string({ unit: 'grapheme', maxLength: 8 }),
  fc.integer({ min: -5, max: 100_000 }),
);

describe.skipIf(missing !== undefined)(`validate.ts and a real API server${missing ? ` (${missing})` : ''}`, () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startWithCrds(assets ?? '', signal);
  });
  afterAll(() => cluster?.stop());

  const judgeByServer = async (object: TestObject): Promise<{ spec: unknown } | { error: string }> => {
    const type = typeOf(kindOf(object));
    try {
      const stored = await cluster.client.create(
        type,
        { ...object, metadata: { name: object.metadata.name, namespace } },
        signal,
      );
      await cluster.client.delete(type, namespace, object.metadata.name, {}, signal);
      return { spec: stored.spec };
    } catch (error) {
      if (isKubeError(error, 'Invalid') || isKubeError(error, 'BadRequest')) return { error: error.message };
      throw error;
    }
  };

  it(`agree on ${runs} objects with an odd value somewhere, and on their defaults`, async () => {
    const disagreements: unknown[] = [];
    const oddObject = fc
      .constantFrom(...goodObjects.map(({ object }) => object))
      .chain((object) =>
        fc
          .tuple(fc.constantFrom(...listPaths(object.spec, [])), oddValues)
          .map(([path, value]) => ({ object: { ...object, spec: replaceAt(object.spec, path, value) }, path, value })),
      );
    for (const { object, path, value } of fc.sample(oddObject, { numRuns: runs, seed: 20_260_101 })) {
      const given = JSON.parse(JSON.stringify(object)) as TestObject;
      const real = await judgeByServer(given);
      const judged = validateObject(kindOf(given), given, undefined);
      const ours = 'errors' in judged ? { error: judged.errors.join('\n') } : { spec: judged.object.spec };
      const agrees = 'error' in real ? 'error' in ours : 'spec' in ours;
      if (!agrees) disagreements.push({ kind: given.kind, at: path.join('.'), value, real, ours });
      else if ('spec' in real && 'spec' in ours) expect(ours.spec).toEqual(real.spec);
    }

    expect(disagreements).toEqual([]);
  }, 170_000);
});
