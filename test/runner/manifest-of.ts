import type { Manifest } from '../../src/domain/manifest.ts';

/** A valid manifest, with changes. */
export function manifestOf(id: string, changes: Partial<Manifest> = {}): Manifest {
  return {
    format: 1,
    backup: { id, uid: `uid-of-${id}` },
    policy: { name: 'nightly', uid: 'uid-of-nightly' },
    namespace: 'shop',
    attempt: 'a1b2c3d4',
    startedAt: '2026-01-01T03:00:00.000Z',
    completedAt: '2026-01-01T03:10:00.000Z',
    tools: { pgbackup: '0.1.0', pgDump: '17.1' },
    server: { version: '17.1', major: 17 },
    databases: [],
    plainBytes: 2000,
    storedBytes: 1000,
    ...changes,
  };
}
