import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { backupPolicyKind, kinds } from '../../src/api/kinds.ts';
import { validateObject } from '../../src/api/validate.ts';
import { parseSchedule } from '../../src/domain/schedule.ts';
import { loadObjects } from '../../src/local/load.ts';

const folder = new URL('../../manifests/examples/', import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith('.yaml'));

interface Example {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: Readonly<Record<string, unknown>>;
}
const examples = files.flatMap((file) =>
  [...parseAllDocuments(readFileSync(new URL(file, folder), 'utf8'))].map((document) => ({
    file,
    object: (document as { toJS(): unknown }).toJS() as Example,
  })),
);

describe('the examples', () => {
  it('are the ones that the documents name', () => {
    expect(files).toEqual([
      'backup-manual.yaml',
      'cloudnativepg.yaml',
      'location-directory.yaml',
      'location-s3.yaml',
      'location-sftp.yaml',
      'policy-encrypted.yaml',
      'policy-full.yaml',
      'policy-minimal.yaml',
      'policy-retention.yaml',
      'policy-three-places.yaml',
      'restore-full.yaml',
      'restore-policy.yaml',
      'restore-replace.yaml',
      'secrets.yaml',
    ]);
  });

  it.each(examples.map(({ file, object }) => [`${file}: ${object.kind} ${object.metadata.name}`, object] as const))(
    '%s is valid',
    (_, object) => {
      const kind = kinds.find((one) => one.kind === object.kind);
      if (kind === undefined) {
        expect(loadObjects([{ name: 'secret', text: JSON.stringify(object) }], '/').errors).toEqual([]);
        return;
      }
      expect(validateObject(kind, object, undefined)).not.toHaveProperty('errors');
      const { schedule, timeZone = 'Etc/UTC' } = object.spec as { schedule?: string; timeZone?: string };
      if (schedule !== undefined) expect(() => parseSchedule(schedule, timeZone)).not.toThrow();
    },
  );

  it('load as they are without Kubernetes, but for the volume', () => {
    const sources = files.map((file) => ({ name: file, text: readFileSync(new URL(file, folder), 'utf8') }));
    expect(loadObjects(sources, '/here').errors).toEqual([
      expect.stringMatching(/^location-directory\.yaml:\d+: spec\.directory\.claimName: without Kubernetes/),
      'location-directory.yaml:9: spec.directory.path: without Kubernetes the path must be absolute, such as /here/postgres',
    ]);
  });

  it('name only Secrets and locations that are among them', () => {
    const named = (kind: string) =>
      new Set(examples.filter(({ object }) => object.kind === kind).map(({ object }) => object.metadata.name));
    const secretNames = JSON.stringify(examples).matchAll(/"secretName":"([^"]+)"/g);
    const given = [...named('Secret'), 'shop-superuser', 'shop-ca'];
    expect(given).toEqual(expect.arrayContaining([...secretNames].map(([, name]) => name)));
    const locations = [...JSON.stringify(examples).matchAll(/"location":"([^"]+)"/g)].map(([, name]) => name);
    expect([...named('BackupLocation')]).toEqual(expect.arrayContaining(locations));
  });

  it('show every field of a policy in the full one', () => {
    const full = examples.find(({ file }) => file === 'policy-full.yaml')?.object.spec ?? {};
    const shown = fieldsOf(full);
    const known = fieldsOfSchema();
    expect(known).toEqual(
      expect.arrayContaining(['dump.excludeTableData', 'runner.resources.limits', 'destinations.required']),
    );
    const alternatives = ['source.postgres.databases.names', 'runner.tolerations.tolerationSeconds'];
    expect(known.filter((field) => !shown.includes(field) && !alternatives.includes(field))).toEqual([]);
  });
});

function fieldsOf(value: unknown, path = ''): readonly string[] {
  if (Array.isArray(value)) return [...new Set(value.flatMap((item) => fieldsOf(item, path)))];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) => {
    const at = path === '' ? key : `${path}.${key}`;
    return [at, ...fieldsOf(member, at)];
  });
}

/** Fields of the policy's schema, read from the zod definition's shape. */
function fieldsOfSchema(): readonly string[] {
  const visit = (schema: unknown, path: string): readonly string[] => {
    const { def, shape, element } = schema as {
      def?: { innerType?: unknown; in?: unknown };
      shape?: Readonly<Record<string, unknown>>;
      element?: unknown;
    };
    if (shape !== undefined) {
      return Object.entries(shape).flatMap(([key, member]) => {
        const at = path === '' ? key : `${path}.${key}`;
        return [at, ...visit(member, at)];
      });
    }
    const inner = element ?? def?.innerType ?? def?.in;
    return inner === undefined ? [] : visit(inner, path);
  };
  return visit(backupPolicyKind.spec, '');
}
