import { delimiter } from 'node:path';
import { readPrivatePrograms } from './programs.ts';

// Loaded before every test file, by the quickstart and by the benchmark: where `make setup` had to unpack programs
// privately, they are found as if they were installed.
const { binDir, postgresBinDir } = readPrivatePrograms();
const append = (name: string, path: string | undefined): void => {
  if (path !== undefined) process.env[name] = [process.env[name], path].filter(Boolean).join(delimiter);
};
append('PATH', binDir);
append('POSTGRES_BINDIRS', postgresBinDir);
