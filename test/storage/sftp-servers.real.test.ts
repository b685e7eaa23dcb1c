import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { openSftp } from '../../src/storage/sftp.ts';
import { systemClock, systemRandom } from '../../src/support/clock.ts';
import type { SftpHabits } from '../servers/scripted-sftp-files.ts';
import { startScriptedSftp } from '../servers/scripted-sftp.ts';
import { listTree, makeTemporaryFolder } from '../servers/temporary-folder.ts';
import { storageConformance } from '../suites/storage-conformance.ts';

const tools = { clock: systemClock, random: systemRandom };
const all = ['fsync', 'posix-rename', 'hardlink', 'statvfs'];

const servers: Readonly<Record<string, SftpHabits>> = {
  'An SFTP server with small limits': { offers: all, limits: { packet: 32_768, read: 16_384, write: 16_384 } },
  'An SFTP server with odd limits': {
    offers: all,
    limits: { packet: 30_011, read: 7_919, write: 0 },
    shortReads: true,
  },
  'An SFTP server that answers out of order': {
    offers: ['hardlink'],
    shuffles: true,
    limits: { packet: 0, read: 0, write: 1_000_000_000 },
  },
};

for (const [title, habits] of Object.entries(servers)) {
  storageConformance(title, async () => {
    const folder = await makeTemporaryFolder();
    const root = join(folder.path, 'root');
    await mkdir(root);
    const user = { username: 'backup', password: 'a secret of the server' };
    const server = await startScriptedSftp({ dir: root, ...user, habits });
    const options = { host: '127.0.0.1', port: server.port, path: root, hostKeys: [server.hostKey], ...user };
    return {
      open: () => openSftp(options, tools),
      openMissing: () => openSftp({ ...options, path: join(folder.path, 'absent') }, tools),
      openRefused: () => openSftp({ ...options, password: 'another' }, tools),
      lookFromOutside: async () => {
        const found = await listTree(root);
        return found.filter((path) => !path.endsWith('/') || !found.some((o) => o !== path && o.startsWith(path)));
      },
      stop: async () => {
        await server.stop();
        await folder.remove();
      },
    };
  });
}
