import { execFile } from 'node:child_process';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { array, constantFrom, sample, tuple } from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Failure } from '../../src/api/failure.ts';
import { readSqlScript } from '../../src/pipeline/sql-script.ts';
import { listBinDirs, startPostgres, type Postgres } from '../servers/postgres.ts';
import { makeTemporaryFolder } from '../servers/temporary-folder.ts';
import { collect, inPieces } from './streams.ts';

const binDirs = await listBinDirs(process.env['POSTGRES_BINDIRS']);
const folder = await makeTemporaryFolder();
let server: Postgres;

beforeAll(async () => {
  // The server runs as another user.
  await chmod(folder.path, 0o755);
  server = await startPostgres({ binDir: binDirs[0] ?? '', dir: join(folder.path, 'pg') });
  await server.sql('CREATE TABLE t (a text)');
});
afterAll(async () => {
  await server.stop();
  await folder.remove();
});

// prettier-ignore
const fragments = [
  
    "'",
    "''",
    '"',
    "E'",
    "e'x\\'y'",
    "E'\\\\'",
    '$$',
    '$a$',
    '$b$',
    'a$b$',
    '$1',
    '--',
    '--c\n',
    '/*',
    '*/',
    '(',
    ')',
  ';', '\n', ' ', '\r', "U&'", 'U&"', 'x', '1', '1.5e3 ', 'begin ', 'end ', 'case ', 'create ', 'or replace ',
  'function f() ', 'procedure p() ', ':', '::', ':x', ":'y'", '[', '+', '-', '/', '*', '|', 'é', "b'", "n'", '\t',
  '0x1f ', '1_0', 'e', 'E', '$', '.', ',',
  '\n;COPY t FROM stdin;\n1\n\\echo inside\n\\.\n',
  '\n;copy t (a)\nfrom /* c */ STDIN with (format csv);\n1\n\\echo inside\n\\.\n',
];

/** Scripts with a command of psql somewhere; the same ones each time. */
const scripts = sample(
  tuple(array(constantFrom(...fragments), { maxLength: 9 }), array(constantFrom(...fragments), { maxLength: 3 })),
  { seed: 15, numRuns: 1500 },
).map(([before, after], index) => `${before.join('')}\\echo <<${index}>>\n${after.join('')}`);

/** The same without it: many of them pass. */
const harmless = sample(array(constantFrom(...fragments), { maxLength: 9 }), { seed: 16, numRuns: 3000 }).map((parts) =>
  parts.join(''),
);

async function passedOf(text: string): Promise<string | undefined> {
  const options = { part: 'whole', oneTransaction: false } as const;
  try {
    return (await collect(readSqlScript(inPieces(Buffer.from(text), 1000), options).bytes)).toString();
  } catch (error) {
    if (error instanceof Failure) return undefined;
    throw error;
  }
}

async function refusalOf(text: string): Promise<string | undefined> {
  try {
    await collect(readSqlScript(inPieces(Buffer.from(text), 1000), { part: 'whole', oneTransaction: false }).bytes);
    return undefined;
  } catch (error) {
    if (error instanceof Failure) return error.message;
    throw error;
  }
}

/** What this psql prints for scripts, each read anew from its start. */
async function printedBy(binDir: string, texts: readonly string[]): Promise<string> {
  const dir = join(folder.path, 'scripts');
  await mkdir(dir, { recursive: true });
  const files = await Promise.all(
    texts.map(async (text, index) => {
      const file = join(dir, `${index}.sql`);
      await writeFile(file, text);
      return `--file=${file}`;
    }),
  );
  return await new Promise<string>((resolve) => {
    const env = { PGPASSWORD: server.password, PGCLIENTENCODING: 'UTF8', PATH: '/usr/bin:/bin', LC_ALL: 'C.UTF-8' };
    const where = [`--host=${server.host}`, `--port=${server.port}`, `--username=${server.user}`, '--dbname=postgres'];
    // Statements may fail: only what psql takes for a command counts here.
    execFile(
      join(binDir, 'psql'),
      ['--no-psqlrc', '--quiet', '--set=ON_ERROR_ROLLBACK=on', ...where, ...files],
      { env, maxBuffer: 64 * 1024 * 1024 },
      (_error, stdout) => resolve(stdout),
    );
  });
}

describe.each(binDirs)('psql of %s', (binDir) => {
  it('obeys no command that is not refused', async () => {
    const printed = await printedBy(binDir, scripts);
    const obeyed = new Set([...printed.matchAll(/<<([0-9]+)>>/g)].map((found) => Number(found[1])));
    expect(obeyed.size).toBeGreaterThan(200);
    expect(obeyed.size).toBeLessThan(scripts.length - 200);
    for (const index of obeyed) {
      const text = scripts[index] ?? '';
      expect(await refusalOf(text), `script ${index}: ${JSON.stringify(text)}`).toBeDefined();
    }
  });

  it('takes no row for a command in what passes', async () => {
    const passed = (await Promise.all(harmless.map(passedOf))).filter((text) => text !== undefined);
    expect(passed.filter((text) => text.includes('\\echo inside')).length).toBeGreaterThan(100);

    expect(await printedBy(binDir, passed)).not.toContain('inside');
  });
});
