import { describe, expect, it } from 'vitest';
import type { BackupStatus } from '../../src/api/backup.ts';
import { annotations, type Backup, type BackupLocation } from '../../src/api/kinds.ts';
import { catalogue } from '../../src/controller/location/catalogue.ts';
import { readCataloguePage } from '../../src/controller/location/catalogue-page.ts';
import { findVanished } from '../../src/controller/location/vanished.ts';
import type { JobSeen } from '../../src/controller/run/pods.ts';
import type { InspectVerdict, ResultLine } from '../../src/domain/report.ts';
import { heldAfterOf } from '../builders/held-manifests.ts';
import { buildLocation, buildRun, succeeded } from '../builders/objects.ts';
import { foundBackup, inspectVerdict } from '../builders/verdicts.ts';

const nowMs = Date.parse('2026-01-05T12:00:00Z');
const startedAt = '2026-01-05T11:59:00Z';
/** Not long before the inspection began. */
const lately = '2026-01-05T11:55:00Z';
const ended = (at: string) =>
  stored(1).status?.conditions?.map((condition) => ({ ...condition, lastTransitionTime: at }));

/** At `near`, and at `far` as well. */
const stored = (day: number, more: Partial<BackupStatus> = {}): Backup => {
  const slot = `2026-01-0${day}T03:00:00Z`;
  const manifestKey = `shop/nightly/${buildRun(slot).metadata.name}/manifest.json`;
  const destinations = ['near', 'far'].map((location) => ({ location, outcome: 'Stored', manifestKey }) as const);
  return buildRun(slot, succeeded(slot, `2026-01-0${day}T03:10:00Z`, { destinations, copies: '2/2', ...more }));
};
const lineOf = ({ metadata }: Backup): ResultLine => foundBackup({ id: metadata.name });
const keyOf = ({ metadata }: Backup): string => `shop/nightly/${metadata.name}/manifest.json`;

function look(
  backups: readonly Backup[],
  there: readonly ResultLine[],
  more: {
    readonly verdict?: Partial<InspectVerdict>;
    readonly location?: BackupLocation;
    readonly generation?: string;
    readonly heard?: boolean;
  } = {},
) {
  const job: JobSeen = {
    metadata: {
      name: 'inspection',
      namespace: 'shop',
      uid: 'job',
      annotations: { [annotations.generation]: more.generation ?? '1' },
    },
  };
  const location = more.location ?? buildLocation();
  const verdict = inspectVerdict({ startedAt, resultLines: there.length, ...more.verdict });
  const page = readCataloguePage(more.heard === false ? undefined : there, location, job, verdict);
  if (page === undefined) return { names: [], statuses: [] };
  const backupNamed = (name: string) => backups.find(({ metadata }) => metadata.name === name);
  const { actions, names } = findVanished({ nowMs, heldAfter: heldAfterOf(backups), backupNamed }, location, page);
  const statuses = actions.map((action) =>
    action.type === 'set-status' ? (action.status as BackupStatus) : undefined,
  );
  return { names, statuses };
}

describe('A catalogue', () => {
  const [one, two, three] = [stored(1), stored(2), stored(3)];

  it('that was read to its end says which data is no longer there, and since when; other places keep theirs', () => {
    const { names, statuses } = look([one, two, three], [lineOf(two)]);
    expect(names).toEqual([one.metadata.name, three.metadata.name]);
    expect(statuses[0]?.copies).toBe('1/2');
    expect(statuses[0]?.destinations).toEqual([
      { location: 'near', outcome: 'Missing', manifestKey: keyOf(one), missingSince: '2026-01-05T12:00:00Z' },
      { location: 'far', outcome: 'Stored', manifestKey: keyOf(one) },
    ]);
    // Whether the run succeeded is not changed by what became of its data.
    expect(statuses[0]?.conditions).toEqual(one.status?.conditions);
  });

  it('says nothing of what lies beyond its page', () => {
    const catalogueSoFar = { page: 1, after: keyOf(one), backups: 0, storedBytes: 0, damagedManifests: 0 };
    const location = buildLocation({ status: { catalogue: catalogueSoFar } });
    expect(look([one, two, three], [], { location, verdict: { after: keyOf(two) } }).names).toEqual([
      two.metadata.name,
    ]);
    expect(look([one, two, three], [], { location }).names).toEqual([two.metadata.name, three.metadata.name]);
  });

  it.each<[string, Parameters<typeof look>]>([
    ['was not heard', [[one], [], { heard: false, verdict: { resultLines: 1 } }]],
    ['was heard in part', [[one, two], [lineOf(two)], { verdict: { resultLines: 2 } }]],
    ['failed', [[one], [], { verdict: { verdict: 'Failed', reason: 'StorageDenied' } }]],
    ['was read where the location pointed before', [[one], [], { generation: '0' }]],
    [
      'has a manifest that cannot be read',
      [[one], [{ type: 'result', v: 1, kind: 'damaged', key: keyOf(one), detail: 'x' }]],
    ],
    ['began while the run ended', [[stored(1, { completedAt: lately, conditions: ended(lately) })], []]],
    ['meets a run that goes on', [[{ ...one, status: { ...one.status, conditions: [] } }], []]],
    [
      'meets a copy that was never there',
      [[stored(1, { destinations: [{ location: 'near', outcome: 'Failed', manifestKey: keyOf(one) }] })], []],
    ],
    [
      'is of another location',
      [[stored(1, { destinations: [{ location: 'far', outcome: 'Stored', manifestKey: keyOf(one) }] })], []],
    ],
  ])('that %s makes nothing vanish', (_title, given) => {
    expect(look(...given)).toEqual({ names: [], statuses: [] });
  });

  it('notes it once, and takes it back when the data is there again', () => {
    const [status] = look([one], []).statuses;
    const marked = { ...one, ...(status && { status }) };
    expect(look([marked], []).statuses).toEqual([]);
    const line = foundBackup({ id: one.metadata.name, uid: one.metadata.uid });
    const { actions } = catalogue(buildLocation(), [line], () => marked, nowMs, line.completedAt);
    const [action] = actions;
    const healed = action?.type === 'set-status' ? (action.status as BackupStatus) : undefined;
    expect(healed?.destinations?.[0]).toMatchObject({ location: 'near', outcome: 'Found' });
    expect(healed?.destinations?.[0]?.missingSince).toBeUndefined();
    expect(healed?.copies).toBe('2/2');
  });
});
