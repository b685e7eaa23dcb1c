import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { Backup, BackupLocation } from '../../src/api/kinds.ts';
import { formatBytes, formatDuration, formatRate } from '../../src/domain/format.ts';
import { ansiPaint, noPaint } from '../../src/local/paint.ts';
import { renderProgress, renderTable } from '../../src/local/progress.ts';
import { showProgress, trackChanges } from '../../src/local/show-progress.ts';
import { trackTroubles } from '../../src/local/track-troubles.ts';
import { systemClock, type Clock } from '../../src/support/clock.ts';
import { backup } from './backups.ts';

const running = (plainBytes: number, estimatedBytes?: number) =>
  backup('nightly-20260101t030000z', ['Unknown', 'Running'], {
    phase: 'Running',
    progress: {
      plainBytes,
      ...(estimatedBytes === undefined ? {} : { estimatedBytes }),
      bytesPerSecond: 123_456_789,
      database: 'shop',
      databasesDone: 1,
      databasesTotal: 5,
    },
  });
const stored = backup('nightly-20260101t030000z', ['True', 'Succeeded', 'stored at 2 destinations'], {
  phase: 'Succeeded',
  startedAt: '2026-01-01T03:00:00Z',
  completedAt: '2026-01-01T03:01:40Z',
  plainBytes: 12_345_678_901,
  storedBytes: 2_345_678_901,
  databases: { stored: ['shop', 'blog'], failed: [] },
  destinations: [
    {
      location: 'disk',
      outcome: 'Stored',
      manifestKey: 'default/nightly/nightly-20260101t030000z/manifest.json',
      manifestSha256: '0123456789abcdef'.repeat(4),
    },
    {
      location: 'far',
      required: false,
      outcome: 'Failed',
      reason: 'StorageUnreachable',
      message: 'connection refused',
    },
  ],
});
const partly = backup('weekly', ['False', 'DatabaseFailed', '1 of 2 databases failed'], {
  phase: 'PartlyFailed',
  startedAt: '2026-01-01T03:00:00Z',
  completedAt: '2026-01-01T03:00:05Z',
  plainBytes: 1_000_000,
  storedBytes: 200_000,
  databases: { stored: ['shop'], failed: [{ name: 'bl\u001B[2Jog', reason: 'PermissionDenied', message: 'table x' }] },
  destinations: [],
});

describe('the lines of running backups', () => {
  it('show a bar, a share, a speed, the database and the time left', () => {
    expect(renderProgress([running(4_800_000_000, 10_000_000_000)], noPaint)).toEqual([
      'nightly-20260101t030000z  ██████████░░░░░░░░░░  48%  123 MB/s  database 2/5 shop  ETA 42s',
    ]);
  });
  it('show bytes when nobody knows how many there will be, and never 100 % before the end', () => {
    expect(renderProgress([running(4_800_000_000)], noPaint)).toEqual([
      'nightly-20260101t030000z  ░░░░░░░░░░░░░░░░░░░░ 4.80 GB  123 MB/s  database 2/5 shop',
    ]);
    expect(renderProgress([running(11_000_000_000, 10_000_000_000)], noPaint)[0]).toContain(' 99%  123 MB/s');
  });
  it('say what a backup waits for, in columns, and leave out what has ended', () => {
    const waiting = backup('a', ['Unknown', 'WaitingForServer', 'db:5432 refuses']);
    expect(renderProgress([stored, running(1, 2), waiting], noPaint).map((line) => line.slice(0, 45))).toEqual([
      'a                         WaitingForServer: d',
      'nightly-20260101t030000z  ██████████░░░░░░░░░',
    ]);
  });
});

describe('the table at the end', () => {
  it('shows each backup with its destinations and failures', () => {
    expect(renderTable([partly, stored], noPaint)).toEqual([
      'BACKUP                    PHASE         DATABASES  DUMPED   STORED   DURATION  MB/S',
      'nightly-20260101t030000z  Succeeded     2/2        12.3 GB  2.35 GB  1m40s     123',
      '  ✓ disk: default/nightly/nightly-20260101t030000z/manifest.json  sha256:0123456789ab',
      '  ✗ far: StorageUnreachable: connection refused',
      'weekly                    PartlyFailed  1/2        1.00 MB  200 kB   5s        0.20',
      '  DatabaseFailed: 1 of 2 databases failed',
      '  ✗ database bl [2Jog: PermissionDenied: table x',
    ]);
  });
  it('does not invent what is not known', () => {
    const silent = backup('lost', ['False', 'RunnerKilled', 'no verdict'], { phase: 'Failed' });
    expect(renderTable([silent], noPaint)).toEqual([
      'BACKUP  PHASE   DATABASES  DUMPED  STORED  DURATION  MB/S',
      'lost    Failed  –          –       –       –         –',
      '  RunnerKilled: no verdict',
    ]);
    expect(renderTable([], noPaint)).toEqual([]);
  });
  it('is coloured only where colours are wanted', () => {
    expect(renderTable([stored], noPaint).join('')).not.toContain('\u001B');
    expect(renderTable([stored], ansiPaint)[1]).toContain('\u001B[32mSucceeded');
  });
});

describe('plain lines', () => {
  it('tell each change once, and figures every ten seconds', () => {
    let ms = 0;
    const clock: Clock = { ...systemClock, nowMs: () => Date.UTC(2026, 0, 1, 3) + ms, monotonicMs: () => 1000 + ms };
    const tell = trackChanges(clock, true);
    const told = (backups: readonly Backup[], atMs: number) => ((ms = atMs), tell(backups));
    const queued = backup('nightly-20260101t030000z', ['Unknown', 'Queued', '8 runs are going on']);
    expect(told([queued], 0)).toEqual(['03:00:00  nightly-20260101t030000z  Queued: 8 runs are going on']);
    expect(told([queued], 1_000)).toEqual([]);
    expect(told([running(1e9, 1e10)], 2_000)).toEqual(['03:00:02  nightly-20260101t030000z  Running']);
    expect(told([running(1e9, 1e10)], 11_000)).toEqual([]);
    expect(told([running(2e9, 1e10)], 12_000)).toEqual([
      '03:00:12  nightly-20260101t030000z  20%  123 MB/s  database 2/5 shop  ETA 1m05s',
    ]);
    expect(told([running(2e9, 1e10)], 13_000)).toEqual([]);
    expect(told([stored], 14_000)).toEqual(['03:00:14  nightly-20260101t030000z  Succeeded, 2.35 GB stored']);
    expect(told([stored], 60_000)).toEqual([]);
  });
  it('do not tell of backups that had ended before', () => {
    expect(trackChanges(systemClock, true)([stored])).toEqual([]);
  });
  it('are written to the stream until the end, the last change included', async () => {
    const stream = new PassThrough();
    const stop = new AbortController();
    let seen: readonly Backup[] = [running(1e9, 1e10)];
    const shown = showProgress(
      { stream, isTerminal: false, paint: noPaint },
      () => seen,
      () => [],
      systemClock,
      stop.signal,
    );
    seen = [stored];
    stop.abort();
    await shown;
    const text = String(stream.read());
    expect(text).toMatch(/Running\n/);
    expect(text).toMatch(/Succeeded, 2\.35 GB stored\n$/);
  });
});

describe('a terminal', () => {
  it('shows bars that are written over, news above them, and only what stays at the end', async () => {
    const stream = new PassThrough();
    const stop = new AbortController();
    let seen: readonly Backup[] = [running(4.8e9, 1e10)];
    let news = ['location disk  StorageMissing: no such folder'];
    const screen = { stream, isTerminal: true, paint: noPaint };
    const shown = showProgress(
      screen,
      () => seen,
      () => news.splice(0),
      systemClock,
      stop.signal,
    );
    const first = String(stream.read());
    expect(first).toMatch(/\d\d:\d\d:\d\d {2}location disk {2}StorageMissing: no such folder\n/);
    expect(first).toContain('██████████░░░░░░░░░░  48%  123 MB/s');
    seen = [stored];
    news = [];
    stop.abort();
    await shown;
    const rest = String(stream.read());
    expect(rest).toContain('\u001B[2K');
    expect(rest).toContain('nightly-20260101t030000z  Succeeded, 2.35 GB stored\n');
    expect(rest).not.toContain('░');
  });
});

describe('troubles of locations and policies', () => {
  it('are told once, and their end', () => {
    const location = (status: 'True' | 'False' | 'Unknown', message: string): BackupLocation => ({
      apiVersion: 'pgbackup.dev/v1beta1',
      kind: 'BackupLocation',
      metadata: { ...stored.metadata, name: 'disk', uid: 'l' },
      spec: {} as BackupLocation['spec'],
      status: {
        conditions: [
          { type: 'Available', status, reason: 'StorageMissing', message, lastTransitionTime: '2026-01-01T00:00:00Z' },
        ],
      },
    });
    const tell = trackTroubles();
    expect(tell([location('Unknown', 'looking')])).toEqual([]);
    expect(tell([location('False', 'no folder, try 1')])).toEqual(['location disk  StorageMissing: no folder, try 1']);
    expect(tell([location('False', 'no folder, try 2')])).toEqual([]);
    expect(tell([location('True', '')])).toEqual(['location disk  in order again']);
    expect(tell([location('True', '')])).toEqual([]);
  });
});

describe('figures', () => {
  it('have three digits and a unit', () => {
    expect([0, 999, 1000, 12_345, 999_499, 999_500, 1e15, 5e18].map(formatBytes)).toEqual([
      '0 B',
      '999 B',
      '1.00 kB',
      '12.3 kB',
      '999 kB',
      '1.00 MB',
      '1.00 PB',
      '5000 PB',
    ]);
    expect([0.4, 59.6, 187, 7_500, 100_000].map(formatDuration)).toEqual(['0s', '1m00s', '3m07s', '2h05m', '27h46m']);
    expect(formatRate(1e9, 0)).toBe('–');
  });
});
