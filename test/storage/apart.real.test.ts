import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { openApart } from '../../src/storage/apart.ts';
import { listTree, makeTemporaryFolder } from '../servers/temporary-folder.ts';
import { storageConformance } from '../suites/storage-conformance.ts';

storageConformance(
  'a folder whose file calls are done in a process of their own',
  async () => {
    const folder = await makeTemporaryFolder();
    const path = join(folder.path, 'root');
    await mkdir(path);
    const opened: ReturnType<typeof openApart>[] = [];
    const open = (where: string) => {
      const storage = openApart({ path: where });
      opened.push(storage);
      return storage;
    };
    return {
      open: () => open(path),
      openMissing: () => open(join(folder.path, 'absent')),
      lookFromOutside: async () => {
        const all = await listTree(folder.path);
        return all.filter(
          (entry) => !entry.endsWith('/') || !all.some((other) => other !== entry && other.startsWith(entry)),
        );
      },
      stop: async () => {
        await Promise.all(opened.map((storage) => storage.close()));
        await folder.remove();
      },
    };
  },
  { hasCredentials: false },
);
