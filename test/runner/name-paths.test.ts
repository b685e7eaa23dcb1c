import { expect, it } from 'vitest';
import { namePaths } from '../../src/runner/name-paths.ts';

it.each([
  [
    "EACCES: permission denied, open '/run/pgbackup/volumes/volume-1/backups/x'",
    "EACCES: permission denied, open '(volume)/backups/x'",
  ],
  ['link /run/pgbackup/volumes/volume-12 -> /run/pgbackup/volumes/volume-2/a', 'link (volume) -> (volume)/a'],
  ['open /run/pgbackup/secrets/shop-db/password', 'open Secret shop-db/password'],
  ['mkdir /run/pgbackup/work/x', 'mkdir (work)/x'],
  [
    '/run/pgbackup/task/task.json is no task, nor /srv/run/volumes/a',
    '/run/pgbackup/task/task.json is no task, nor /srv/run/volumes/a',
  ],
])('of paths in a pod people are told what they are: %s', (text, told) => {
  expect(namePaths(text, '/run/pgbackup')).toBe(told);
});
