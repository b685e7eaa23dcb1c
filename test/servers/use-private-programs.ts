import { delimiter, dirname } from 'node:path';
import { readPrivatePrograms } from './programs.ts';

// Loaded before every test file of the project `real`: where `make setup` had to unpack programs privately, tests find them
// as if they were installed.
const { postgresBinDir, zstd, sshKeygen } = readPrivatePrograms();
const append = (name: string, path: string | undefined): void => {
  if (path === undefined) return;
  process.env[name] = [process.env[name] ?? '', path].filter((part) => part !== '').join(delimiter);
};
append('POSTGRES_BINDIRS', postgresBinDir);
for (const folder of new Set([zstd, sshKeygen].map((path) => path && dirname(path)))) append('PATH', folder);
