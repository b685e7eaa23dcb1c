import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { manifestKey } from '../../src/domain/layout.ts';
import { printManifest } from '../../src/domain/manifest.ts';
import type { InspectTask } from '../../src/domain/task.ts';
import { inspectLocation } from '../../src/runner/inspect/inspect-location.ts';
import { markOf } from '../../src/runner/inspect/mark.ts';
import { openDirectory } from '../../src/storage/directory.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { systemRandom } from '../../src/support/clock.ts';
import { changeStorage } from '../builders/change-storage.ts';
import { manifestOf } from './manifest-of.ts';
import { workshopOf } from './workshop-of.ts';

describe('An inspection that is told which manifests are known', () => {
  let folder: string;
  let place: Storage;
  let read: string[];
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'known-'));
    const directory = openDirectory({ path: folder }, { random: systemRandom });
    read = [];
    place = changeStorage(directory, {
      get: (key, ...more) => {
        read.push(key);
        return directory.get(key, ...more);
      },
    });
  });
  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  const idOf = (number: number): string => `nightly-${String(number).padStart(2, '0')}`;
  const fileOf = (id: string): string => join(folder, manifestKey('shop', 'nightly', id));
  const lay = async (id: string, text = printManifest(manifestOf(id))): Promise<void> => {
    await mkdir(dirname(fileOf(id)), { recursive: true });
    await writeFile(fileOf(id), text);
  };
  const look = async (changes: Partial<InspectTask> = {}) => {
    const task: InspectTask = {
      version: 1,
      kind: 'inspect',
      namespace: 'shop',
      location: { name: 'place', place: { directory: { path: folder } } },
      accessMode: 'ReadWrite',
      inspector: '5eed5eed',
      probe: false,
      fullPart: false,
      pageSize: 1000,
      waitForSecretSeconds: 1,
      ...changes,
    };
    read = [];
    const workshop = workshopOf({ place });
    const verdict = await inspectLocation(task, workshop);
    expect(verdict).toMatchObject({ verdict: 'Succeeded', resultLines: workshop.results().length });
    const lines = workshop.results();
    return {
      verdict,
      ids: lines.flatMap((line) => (line.kind === 'backup' ? [line.id] : [])),
      marks: lines.flatMap((line) => (line.kind === 'backup' ? [line.mark ?? ''] : [])),
      unseen: lines.flatMap((line) => (line.kind === 'known' ? line.unseen : [])),
      tells: lines.some(({ kind }) => kind === 'known'),
    };
  };

  it('reads none of them, and says that it saw them all', async () => {
    for (let number = 0; number < 20; number += 1) await lay(idOf(number));
    const { marks, tells } = await look();
    expect(read).toHaveLength(20);
    expect(tells).toBe(false);
    const again = await look({ known: { marks: marks.join('') } });
    expect(read).toEqual([]);
    expect(again).toMatchObject({ ids: [], unseen: [], tells: true, verdict: { backups: 20 } });
    expect(again.verdict.after).toBeUndefined();
  });

  it('reads what is new and what looks different, and says which it did not come upon', async () => {
    for (const number of [1, 2, 3, 4]) await lay(idOf(number));
    const { marks } = await look();
    await lay(idOf(5));
    await lay(idOf(2), '{"cut');
    const later = new Date(Date.now() + 5000);
    await utimes(fileOf(idOf(3)), later, later);
    await rm(fileOf(idOf(4)));
    const again = await look({ known: { marks: marks.join('') } });
    expect(read).toEqual([2, 3, 5].map((number) => manifestKey('shop', 'nightly', idOf(number))));
    expect(again.ids).toEqual([idOf(3), idOf(5)]);
    expect(again.verdict).toMatchObject({ backups: 3, damagedManifests: 1 });
    expect(again.unseen).toEqual(marks.slice(1));
  });

  it('ends the page where more are known than it was told, and goes on from there', async () => {
    for (let number = 0; number < 10; number += 1) await lay(idOf(number));
    const { marks } = await look();
    const until = manifestKey('shop', 'nightly', idOf(4));
    const first = await look({ known: { marks: marks.slice(0, 5).join(''), until } });
    expect(first.verdict).toMatchObject({ backups: 5, after: until });
    const rest = await look({ known: { marks: marks.slice(5).join('') }, after: until });
    expect(rest.verdict).toMatchObject({ backups: 5 });
    expect([...first.unseen, ...rest.unseen, ...read]).toEqual([]);
    expect(rest.verdict.after).toBeUndefined();
  });

  it('counts what it knows once where a page is full', async () => {
    for (let number = 0; number < 10; number += 1) await lay(idOf(number));
    const { marks } = await look();
    // Every second one is known; a page reads two.
    const known = marks.filter((_, index) => index % 2 === 0);
    let after: string | undefined;
    let backups = 0;
    const ids: string[] = [];
    for (let page = 0; page < 5; page += 1) {
      const seen = await look({
        pageSize: 2,
        known: { marks: known.join('') },
        ...(after === undefined ? {} : { after }),
      });
      backups += seen.verdict.backups;
      ids.push(...seen.ids);
      after = seen.verdict.after;
      if (after === undefined) break;
    }
    expect(after).toBeUndefined();
    expect(backups).toBe(10);
    expect(ids).toEqual([1, 3, 5, 7, 9].map(idOf));
  });

  it('takes no mark from a place that tells neither time nor tag', () => {
    expect(markOf({ key: 'k', bytes: 1, modifiedAtMs: 0 })).toBeUndefined();
    const marks = [
      { key: 'k', bytes: 1, modifiedAtMs: 0, tag: 'a' },
      { key: 'k', bytes: 1, modifiedAtMs: 0, tag: 'b' },
      { key: 'k', bytes: 1, modifiedAtMs: 5 },
      { key: 'k', bytes: 2, modifiedAtMs: 5 },
      { key: 'l', bytes: 2, modifiedAtMs: 5 },
    ].map((one) => markOf(one));
    expect(new Set(marks).size).toBe(5);
    expect(marks.every((mark) => mark?.length === 8)).toBe(true);
    // Whoever names other keys for signatures has all manifests read anew.
    const found = { key: 'k', bytes: 1, modifiedAtMs: 5 };
    expect(new Set([markOf(found), markOf(found, ['a']), markOf(found, ['a', 'b']), markOf(found, ['b'])]).size).toBe(
      4,
    );
  });
});
