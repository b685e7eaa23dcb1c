import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../api/failure.ts';
import { isDumpFolderName } from '../pipeline/member-names.ts';
import type { Damaged } from './archive-toc.ts';

/** What pg_dump writes into a table of contents: the suffix of a compressed file stands in its name only. */
const rows = /^[0-9]+\.dat(?:\.gz)?$/;
const largeObjects = /^blobs(?:_[0-9]+)?\.toc$/;
const largeObjectLine = /^[0-9]{1,10} (blob_[0-9]{1,10}\.dat)$/;
const suffixes = ['', '.gz', '.lz4', '.zst'];
/** Far above any line that pg_dump writes. */
const longestLine = 64;

/**
 * pg_restore opens whatever file an archive names, `../` included, and what it reads becomes rows that somebody can see. So every name
 * must be one that pg_dump writes, which cannot lead out of the archive.
 * @throws Failure FileRefused
 */
export function checkFileName(format: 'directory' | 'tar', type: string, file: Buffer): string {
  const name = file.toString('latin1');
  // In a folder the type of the entry says whether a file is read as a list of further names.
  const isList = format === 'directory' && type === 'BLOBS';
  if ((isList ? largeObjects : rows).test(name)) return name;
  throw refused(`its entry of type ${show(type)} names the file ${show(name)}`);
}

/** @throws Failure FileRefused for names that pg_dump does not write, `damaged` for files that are not there */
export type CheckFile = (type: string, file: Buffer) => void;

/**
 * Looks through a dumped folder: plain files only, and every list of large objects names files of this folder. Returns what looks at the
 * files of its table of contents.
 * @throws Failure FileRefused, `damaged`
 */
export async function openArchiveFiles(folder: string, damaged: Damaged, signal: AbortSignal): Promise<CheckFile> {
  const found = await readdir(folder, { withFileTypes: true });
  const odd = found.find((entry) => !entry.isFile());
  if (odd !== undefined) throw refused(`${show(odd.name)} is no plain file`);
  const foreign = found.find(({ name }) => !isDumpFolderName(name));
  if (foreign !== undefined) throw refused(`it has a file ${show(foreign.name)}`);
  const names = new Set(found.map(({ name }) => name));
  const need = (name: string): void => {
    if (!suffixes.some((suffix) => names.has(`${name}${suffix}`))) throw damaged(`it has no file ${name}`);
  };
  for (const name of names) {
    if (largeObjects.test(name)) await checkList(join(folder, name), name, need, signal);
  }
  return (type, file) => {
    const name = checkFileName('directory', type, file);
    // pg_dump never compresses this one, and pg_restore would take a compressed one whose lines nobody looked at.
    if (type !== 'BLOBS') need(name);
    else if (!names.has(name)) throw damaged(`it has no file ${name}`);
  };
}

async function checkList(path: string, name: string, need: (name: string) => void, signal: AbortSignal): Promise<void> {
  let rest = '';
  const take = (line: string): void => {
    const file = largeObjectLine.exec(line)?.[1];
    if (file === undefined) throw refused(`${name} has the line ${show(line)}`);
    need(file);
  };
  for await (const chunk of createReadStream(path, { signal, encoding: 'latin1' }) as AsyncIterable<string>) {
    const lines = `${rest}${chunk}`.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) take(line);
    if (rest.length > longestLine) take(rest);
  }
  if (rest !== '') take(rest);
}

function show(text: string): string {
  return JSON.stringify(text.slice(0, 200));
}

function refused(what: string): Failure {
  return new Failure('FileRefused', `the archive is none that pg_dump writes: ${what}`, {
    hint: 'pg_restore would read whatever file an archive names: this one was made to read others than its own.',
  });
}
