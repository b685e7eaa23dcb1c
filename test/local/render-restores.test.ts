import { describe, expect, it } from 'vitest';
import { noPaint } from '../../src/local/paint.ts';
import { renderProgress, renderState } from '../../src/local/progress.ts';
import { renderRestores } from '../../src/local/render-restores.ts';
import { restoreRequest } from './restores.ts';

const restored = restoreRequest('weekly', ['True', 'Restored', 'restored, checked and swapped'], {
  phase: 'Succeeded',
  startedAt: '2026-01-01T03:00:00Z',
  completedAt: '2026-01-01T03:00:10Z',
  plainBytes: 1_230_000_000,
  source: { backup: 'nightly-20260101t000000z', location: 'disk' },
  databases: [
    { source: 'shop', target: 'shop_copy', outcome: 'Restored', previous: 'shop_copy_20260101t030000z' },
    { target: 'blog', outcome: 'Restored', notes: ['transaction_timeout is unknown to PostgreSQL 15'] },
  ],
  rolesCreated: ['reporting'],
});
const failed = restoreRequest('check', ['False', 'CheckFailed', 'SELECT 1 gave 1, not 2\u001B[2J; shop is as it was'], {
  phase: 'Failed',
  source: { key: 'dumps/a.zip', member: 'a.sql' },
  databases: [{ target: 'shop', outcome: 'Untouched', reason: 'CheckFailed', message: 'SELECT 1' }],
});

describe('the table of restores', () => {
  it('shows what was restored to where, what was kept and left out, and a remedy for what failed', () => {
    expect(renderRestores([restored, failed], noPaint)).toEqual([
      'RESTORE  PHASE      MODE     SOURCE                    LOADED   DURATION  MB/S',
      'check    Failed     Replace  dumps/a.zip (a.sql)       –        –         –',
      '  CheckFailed: SELECT 1 gave 1, not 2 [2J; shop is as it was',
      '  ✗ shop: Untouched',
      '  remedy: Look at the check that the message names, and at the backup.',
      'weekly   Succeeded  Replace  nightly-20260101t000000z  1.23 GB  10s       123',
      '  ✓ shop → shop_copy: Restored; what it was before is kept as shop_copy_20260101t030000z',
      '  ✓ blog: Restored',
      '    note: transaction_timeout is unknown to PostgreSQL 15',
      '  roles created: reporting',
    ]);
    expect(renderRestores([], noPaint)).toEqual([]);
  });

  it('says when nothing was done because nothing had changed, and what was asked for when nothing was chosen', () => {
    const unchanged = restoreRequest('a', ['True', 'Unchanged', 'still nightly-20260101t000000z'], {
      phase: 'Succeeded',
    });
    expect(renderRestores([unchanged], noPaint).slice(1)).toEqual([
      'a        Succeeded  Replace  nightly  –       –         –',
      '  Unchanged: still nightly-20260101t000000z',
    ]);
  });
});

describe('the line of a running restore', () => {
  const going = (step: 'Loading' | 'Checking', estimatedBytes?: number) =>
    restoreRequest('r', ['Unknown', 'Running'], {
      phase: 'Running',
      progress: {
        step,
        plainBytes: 500_000_000,
        ...(estimatedBytes === undefined ? {} : { estimatedBytes }),
        bytesPerSecond: 50_000_000,
        database: 'shop',
        databasesDone: 0,
        databasesTotal: 1,
      },
    });
  it('shows a bar while bytes move, and the step while they do not', () => {
    expect(renderProgress([going('Loading', 1_000_000_000)], noPaint)).toEqual([
      'r  ██████████░░░░░░░░░░  50%  Loading  50.0 MB/s  database 1/1 shop  ETA 10s',
    ]);
    expect(renderProgress([going('Checking', 500_000_000)], noPaint)[0]).toMatch(/ Checking  database 1\/1 shop$/);
  });
  it('says how it ended', () => {
    expect(renderState(restored)).toBe('Succeeded, 1.23 GB loaded');
    expect(renderState(failed)).toMatch(/^Failed: CheckFailed: /);
  });
});
