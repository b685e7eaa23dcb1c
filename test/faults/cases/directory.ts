import { rm, writeFile } from 'node:fs/promises';
import type { FailureReason } from '../../../src/api/reasons.ts';
import type { Arranged, Expected, FaultCase } from '../fault-case.ts';
import type { FaultStand, FolderOptions } from '../fault-stand.ts';
import { growTmpfs, linkFolder, makeReadOnly, mountTmpfs } from '../mounts.ts';

const bad = (reason: FailureReason): Expected => ({ succeeded: 'False', reason, destinations: [reason] });

async function arrangeFolder(
  stand: FaultStand,
  name: string,
  options: FolderOptions,
  fault: Pick<Arranged, 'arm' | 'lift'>,
): Promise<Arranged> {
  const place = await stand.makeFolder(name, options);
  return { places: [place], postgres: await stand.postgresProxy(), databases: ['big'], ...fault };
}

export const directoryCases: readonly FaultCase[] = [
  {
    name: 'directory-full',
    room: 'directory',
    needsRoot: true,
    fault: 'the disk is full in the middle of a volume',
    arrange: async (stand, name) => {
      const root = await mountTmpfs(stand, name, '7m');
      return arrangeFolder(stand, name, { root }, { lift: () => growTmpfs(root, '200m') });
    },
    expect: bad('StorageFull'),
  },
  {
    name: 'directory-read-only',
    room: 'directory',
    needsRoot: true,
    fault: 'the file system is mounted read-only',
    arrange: async (stand, name) => {
      const root = await mountTmpfs(stand, name, '200m');
      const fault = { arm: () => makeReadOnly(root, true), lift: () => makeReadOnly(root, false) };
      return arrangeFolder(stand, name, { root }, fault);
    },
    expect: bad('StorageDenied'),
  },
  {
    name: 'directory-missing',
    room: 'directory',
    fault: 'the folder is not there',
    arrange: async (stand, name) => {
      const { link, unlink, ...where } = await linkFolder(stand, name);
      return arrangeFolder(stand, name, where, { arm: unlink, lift: link });
    },
    expect: bad('StorageMissing'),
  },
  {
    name: 'directory-is-a-file',
    room: 'directory',
    fault: 'a file is in the place of the folder',
    arrange: async (stand, name) => {
      const { link, unlink, ...where } = await linkFolder(stand, name);
      const arm = async (): Promise<void> => {
        await unlink();
        await writeFile(where.path, 'a file');
      };
      const lift = async (): Promise<void> => {
        await rm(where.path);
        await link();
      };
      return arrangeFolder(stand, name, where, { arm, lift });
    },
    expect: bad('StorageMissing'),
  },
];
