import type {
  BackupVerdict,
  CleanupVerdict,
  FoundBackup,
  InspectVerdict,
  RestoreVerdict,
} from '../../src/domain/report.ts';

export function backupVerdict(more: Partial<BackupVerdict> = {}): BackupVerdict {
  return {
    v: 1,
    kind: 'backup',
    verdict: 'Succeeded',
    attempt: 'abcdef12',
    startedAt: '2026-01-02T03:00:05Z',
    completedAt: '2026-01-02T03:01:05Z',
    plainBytes: 6000,
    storedBytes: 1200,
    destinations: [{ location: 'near', outcome: 'Stored', bytes: 1300, manifestSha256: 'a'.repeat(64) }],
    resultLines: 0,
    ...more,
  };
}

export function inspectVerdict(more: Partial<InspectVerdict> = {}): InspectVerdict {
  return {
    v: 1,
    kind: 'inspect',
    verdict: 'Succeeded',
    startedAt: '2026-01-01T00:00:05Z',
    completedAt: '2026-01-01T00:00:06Z',
    latencies: { putMilliseconds: 12, getMilliseconds: 8, listMilliseconds: 20, deleteMilliseconds: 5 },
    backups: 0,
    storedBytes: 0,
    damagedManifests: 0,
    resultLines: 0,
    ...more,
  };
}

export function foundBackup(more: Partial<FoundBackup> = {}): FoundBackup {
  const { id = 'nightly-20251231t030000z', policy = 'nightly' } = more;
  return {
    type: 'result',
    v: 1,
    kind: 'backup',
    key: `shop/${policy}/${id}/manifest.json`,
    id,
    uid: `made-as-${id}`,
    policy,
    slot: '2025-12-31T03:00:00Z',
    startedAt: '2025-12-31T03:00:04Z',
    completedAt: '2025-12-31T03:02:04Z',
    attempt: '12345678',
    plainBytes: 5000,
    storedBytes: 1000,
    manifestSha256: 'b'.repeat(64),
    stored: ['app'],
    failed: [],
    ...more,
  };
}

export function restoreVerdict(more: Partial<RestoreVerdict> = {}): RestoreVerdict {
  return {
    v: 1,
    kind: 'restore',
    verdict: 'Succeeded',
    target: 'Restored',
    attempt: 'abcdef12',
    startedAt: '2026-01-02T04:00:05Z',
    completedAt: '2026-01-02T04:01:05Z',
    source: {
      location: 'near',
      backup: 'nightly-20260101t030000z',
      backupUid: 'uid-of-nightly-20260101t030000z',
      key: 'shop/nightly/nightly-20260101t030000z/manifest.json',
      format: 'Custom',
    },
    readBytes: 1200,
    plainBytes: 6000,
    resultLines: 0,
    ...more,
  };
}

export function cleanupVerdict(more: Partial<CleanupVerdict> = {}): CleanupVerdict {
  return {
    v: 1,
    kind: 'cleanup',
    verdict: 'Succeeded',
    target: 'Untouched',
    startedAt: '2026-01-02T04:00:05Z',
    completedAt: '2026-01-02T04:01:05Z',
    dropped: [],
    resultLines: 0,
    ...more,
  };
}
