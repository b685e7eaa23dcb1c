/** A place that answers nothing more (docs/faults.md), and the test that meets it. */
export interface HangCase {
  readonly where: string;
  /** What is asked last, as it stands in the file of the test; one test for each. */
  readonly calls: readonly string[];
  readonly ends: string;
  /** Path below `test`. */
  readonly file: string;
  /** Part of the test's title, as it stands in the file. */
  readonly title: string;
}

const storageCalls = [
  'being asked for the manifest',
  'being looked at for earlier tries',
  'the first byte of a dump',
  'the end of a dump',
  'being read back',
  'being listed',
  'the manifest',
  'being closed',
];

export const hangCases: readonly HangCase[] = [
  {
    where: 'any place, best-effort, that hears no abort either',
    calls: storageCalls,
    ends: 'Succeeded; the other place has the backup',
    file: 'runner/hanging-places.real.test.ts',
    title: 'as a best-effort one is left out: the run succeeds and the other place has the backup',
  },
  {
    where: 'any place, required',
    calls: storageCalls,
    ends: 'DestinationFailed (StorageUnreachable), but Succeeded at what the run does not need (earlier tries, being closed); the other place has the backup',
    file: 'runner/hanging-places.real.test.ts',
    title: 'as a required one fails by itself: the other place has the backup',
  },
  {
    where: 'any place, and the run is stopped meanwhile',
    calls: storageCalls,
    ends: 'Aborted, with its verdict; what is being committed (listed, the manifest) is finished: DestinationFailed; Succeeded when it only closes',
    file: 'runner/hanging-places.real.test.ts',
    title: 'does not hold the end of a run that is stopped meanwhile: the verdict is there',
  },
  {
    where: 'a folder on a file system that hangs in the kernel, best-effort',
    calls: ['getattr', 'mkdir', 'create', 'write', 'fsync', 'link', 'read', 'readdir', 'flush'],
    ends: 'Succeeded; the other place has the backup',
    file: 'runner/hanging-mount.real.test.ts',
    title: 'place: the other one has the backup',
  },
  {
    where: 'the same, required',
    calls: ['getattr', 'write', 'link'],
    ends: 'DestinationFailed (StorageUnreachable); the other place has the backup',
    file: 'runner/hanging-mount.real.test.ts',
    title: 'place: the other one has the backup',
  },
  {
    where: 'the same, and the runner is stopped meanwhile (SIGTERM)',
    calls: ['getattr', 'write', 'fsync'],
    ends: 'Aborted, with its verdict; the process is gone',
    file: 'runner/hanging-mount.real.test.ts',
    title: 'ends on SIGTERM although a required folder hangs',
  },
  {
    where: 'the same, during an inspection that is stopped',
    calls: ['getattr'],
    ends: 'Aborted, with its verdict; the process is gone',
    file: 'runner/hanging-mount.real.test.ts',
    title: 'ends on SIGTERM although an inspection hangs',
  },
  {
    where: 'a file call of the directory driver, each by itself',
    calls: ['getattr', 'readdir', 'read', 'open', 'mkdir', 'create', 'write', 'fsync', 'link', 'unlink', 'rmdir'],
    ends: 'StorageUnreachable; it is used again when it answers again',
    file: 'storage/apart-hangs.real.test.ts',
    title: 'with StorageUnreachable, and goes on when it answers again',
  },
  {
    where: 'more file calls than a process has threads for',
    calls: ['getattr'],
    ends: 'another folder is not held up',
    file: 'storage/apart-hangs.real.test.ts',
    title: 'does not hold the files of another folder',
  },
  {
    where: 'an inspection, at any place',
    calls: ['list'],
    ends: 'StorageUnreachable',
    file: 'runner/hanging-places.real.test.ts',
    title: 'A place whose listing hangs ends an inspection with StorageUnreachable',
  },
];
