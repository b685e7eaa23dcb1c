import '../test/servers/use-private-programs.ts';
import { mkdir } from 'node:fs/promises';
import { readOptions } from './options.ts';
import { seedDatabase } from './seed-database.ts';

// `npm run bench:seed -- --scale 100`: makes the database of the benchmark, once.

const { cache, scale } = readOptions(process.argv.slice(2));
await mkdir(cache, { recursive: true });
await seedDatabase(cache, scale, (line) => process.stdout.write(`${line}\n`));
