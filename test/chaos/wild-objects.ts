import { resources } from '../../src/controller/resources.ts';
import type { KubeObject } from '../../src/kube/client.ts';
import type { Random } from '../../src/support/clock.ts';
import { badObjects } from '../api/bad-objects.ts';
import { goodObjects } from '../api/good-objects.ts';
import { asSent, buildBackup, buildRestore } from '../builders/objects.ts';

const ownKinds = ['BackupPolicy', 'BackupLocation', 'Backup', 'RestoreRequest', 'RestorePolicy'];
const letters = ['a', 'ü', '\u0000', '\u202e', '💥', '"', '\\', '{{', "'; --", '\n', '%s', '\ud800'];

/** An object that anybody might create: extreme times, every member that there is, or text that nobody expects. */
export function wildObject(random: Random, policies: readonly string[], index: number): KubeObject {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random.fraction() * list.length)] as T;
  const text = (): string =>
    Array.from({ length: 1 + Math.floor(random.fraction() * 300) }, () => pick(letters)).join('');
  const time = pick(['0001-01-02T00:00:00Z', '1969-12-31T23:59:00Z', '3000-01-01T03:00:00Z', '9999-12-31T23:59:00Z']);
  const policy = pick(policies);
  const name = `wild-${index}`;
  switch (Math.floor(random.fraction() * 5)) {
    case 0:
      return asSent(buildBackup({ name: `${policy}-30000101t0${index % 10}0000z`, spec: { policy, slot: time } }));
    case 1:
      return asSent(buildBackup({ name, metadata: { annotations: { note: text() } }, spec: { policy, slot: time } }));
    case 2: {
      const source = pick([{ backup: { name: text() } }, { policy: { name: policy, at: time } }]);
      return { ...asSent(buildRestore({ name })), spec: { ...buildRestore().spec, source } };
    }
    default: {
      const { object } = pick([...goodObjects, ...badObjects]);
      return { ...object, metadata: { ...object.metadata, name, namespace: 'shop' } };
    }
  }
}

/** The resource of one of our kinds. */
export function resourceOf({ kind }: KubeObject) {
  const found = Object.values(resources).find((each) => each.kind === kind && ownKinds.includes(each.kind));
  if (found === undefined) throw new Error(`no kind ${kind}`);
  return found;
}
