import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { kinds } from '../../src/api/kinds.ts';
import { printInstall, printNamespacedInstall } from '../../src/codegen/install.ts';
import { resources } from '../../src/controller/resources.ts';
import { watchedKinds } from '../../src/controller/world/world-indexes.ts';
import { programVersion } from '../../src/support/version.ts';

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}
interface Installed {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly rules?: readonly Rule[];
}

const root = join(import.meta.dirname, '..', '..');
const documents = parseAllDocuments(printInstall(programVersion)).map((each) => each.toJS() as Installed);
const namespaced = parseAllDocuments(printNamespacedInstall(programVersion)).map((each) => each.toJS() as Installed);
const rulesOf = (all: readonly Installed[]): readonly Rule[] => all.flatMap((each) => each.rules ?? []);
/** Those of the cluster's view, edit and admin are what people may do. */
const isForPeople = ({ metadata }: Installed): boolean => /-(view|edit)$/.test(metadata.name);
const rules = rulesOf(documents.filter((each) => !isForPeople(each)));
const mayDo = ({ group, plural }: { readonly group: string; readonly plural: string }): readonly string[] =>
  rules
    .filter((rule) => rule.apiGroups.includes(group) && rule.resources.includes(plural))
    .flatMap(({ verbs }) => verbs);

describe('manifests/install.yaml', () => {
  it('has the same definitions as crds/', () => {
    for (const { kind, plural } of kinds) {
      const file = readFileSync(join(root, `crds/pgbackup.dev_${plural}.yaml`), 'utf8');
      expect(documents, kind).toContainEqual(parse(file));
    }
  });

  it('grants nothing on Secrets, and nothing by wildcard', () => {
    expect(rules.length).toBeGreaterThan(5);
    expect(rules.flatMap((rule) => rule.resources)).not.toContain('secrets');
    expect(JSON.stringify(rulesOf(documents))).not.toContain('*');
  });

  it('grants what the controller watches, and lets it delete nothing but Jobs, and Backups and requests that are over', () => {
    for (const kind of watchedKinds) {
      expect(mayDo(resources[kind]), kind).toEqual(expect.arrayContaining(['get', 'list', 'watch']));
    }
    const deleted = rules.filter(({ verbs }) => verbs.includes('delete')).flatMap((rule) => rule.resources);
    expect(deleted.toSorted()).toEqual(['backups', 'jobs', 'restorerequests']);
    const updated = rules.filter(({ verbs }) => verbs.includes('update')).flatMap((rule) => rule.resources);
    expect(updated.filter((name) => kinds.some(({ plural }) => plural === name))).toEqual([
      'backups',
      'restorerequests',
    ]);
  });

  it("names the image of this version once: runners use the controller's", () => {
    const deployment = documents.find(({ kind }) => kind === 'Deployment');
    const images = JSON.stringify(deployment).match(/ghcr\.io\/[^"]+/g);
    expect(images).toEqual([`ghcr.io/pgbackup/pgbackup-operator:${programVersion}`]);
  });
});

describe('manifests/install-namespaced.yaml', () => {
  it('grants the same in its namespace, and nothing beyond it', () => {
    expect(rulesOf(namespaced.filter((each) => !isForPeople(each)))).toEqual(rules);
    expect(namespaced.filter(isForPeople).map(({ kind }) => kind)).toEqual(['Role', 'Role']);
    const withoutNamespace = namespaced.filter(({ metadata }) => metadata.namespace === undefined);
    expect(withoutNamespace.map(({ kind }) => kind)).toEqual([
      'ValidatingAdmissionPolicy',
      'ValidatingAdmissionPolicyBinding',
    ]);
  });

  it('names its namespace by one word, which is nowhere else, also in what has no namespace', () => {
    const shop = printNamespacedInstall(programVersion).replaceAll('my-namespace', 'shop');
    expect(shop).not.toMatch(/my-|pgbackup-system/);
    expect(shop).toContain("system:serviceaccount:shop:pgbackup-operator'");
    expect(shop.match(/name: pgbackup-operator-jobs\.shop$/gm)).toHaveLength(2);
  });
});
