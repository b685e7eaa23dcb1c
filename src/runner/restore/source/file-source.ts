import { Failure } from '../../../api/failure.ts';
import { readArchiveHead } from '../../../pipeline/archive-head.ts';
import type { Bytes } from '../../../pipeline/bytes.ts';
import { readSqlScript, textOf } from '../../../pipeline/sql-script.ts';
import type { Storage } from '../../../storage/storage.ts';
import type { Workshop } from '../../workshop.ts';
import { chooseFile, describeFile, type FileSource } from './file-choose.ts';
import { findContent, type FileContent } from './file-content.ts';
import { chooseSection } from './file-script.ts';
import { openStoredFile, type StoredFile } from './file-stored.ts';
import { waitForStore } from './file-wait.ts';
import type { RestoreInput, RestoreSource } from './source.ts';
import type { SourceWanted } from '../wanted.ts';

const formatNames = {
  custom: 'Custom',
  tar: 'Tar',
  directory: 'Directory',
  sql: 'Sql',
  dumpall: 'Dumpall',
} as const;

/**
 * The file that is meant: waits for its place, chooses it, sees that it is there whole, and recognises it by its content.
 * @throws Failure FileMissing, FileIncomplete, FileUnknown, FileEncrypted, FileAmbiguous, FileRefused, FileDamaged, SqlRefused (a script
 * of pg_dumpall is read here), and those of the place
 */
export async function openFileSource(wanted: SourceWanted, workshop: Workshop): Promise<RestoreSource> {
  const { file } = wanted;
  const [target, ...more] = wanted.databases;
  if (file === undefined || target === undefined || more.length > 0) {
    throw new Failure('TaskInvalid', 'a file is restored to exactly one database');
  }
  const storage = await workshop.openLocation(file.location);
  try {
    return await openChosen(storage, { ...wanted, file }, target, workshop);
  } catch (error) {
    await storage.close();
    throw error;
  }
}

async function openChosen(
  storage: Storage,
  wanted: FileSource,
  target: SourceWanted['databases'][number],
  workshop: Workshop,
): Promise<RestoreSource> {
  const { log, signal } = workshop;
  const wait = waitForStore(wanted.waitForServerSeconds * 1000, workshop);
  const { stat, unchanged, notes } = await chooseFile(storage, wanted, wait, workshop);
  const file = openStoredFile(storage, stat);
  const chosen = describeFile(wanted.file.location.name, stat);
  const close = (): Promise<void> => storage.close();
  const readBytes = (): number => file.readBytes();
  if (unchanged) return { chosen, unchanged, inputs: [], readBytes, close };

  const { content, section } = await wait.try(() =>
    file.proveSameAfter(async () => {
      const found = await findContent(file, wanted.file.member, signal);
      const isCluster = found.format === 'dumpall';
      return {
        content: found,
        section: isCluster ? await chooseSection(found, target.source, target.target, signal) : undefined,
      };
    }, signal),
  );
  const { format, member } = content;
  log.info('file recognised', { key: stat.key, bytes: stat.bytes, format, member, database: section });
  const input =
    format === 'sql' || format === 'dumpall'
      ? scriptInput(file, content, section)
      : archiveInput(file, content, format);
  const serverMajor = readServerMajor(content);
  return {
    chosen: { ...chosen, format: formatNames[format], ...(member === undefined || member === '' ? {} : { member }) },
    unchanged,
    inputs: [{ target: target.target, input }],
    notes,
    ...(serverMajor === undefined ? {} : { serverMajor }),
    ...(format === 'dumpall'
      ? {
          openGlobals: (opening: AbortSignal): Bytes =>
            file.proveSame(
              textOf(readSqlScript(content.open(opening), { part: 'globals', oneTransaction: false })),
              opening,
            ),
        }
      : {}),
    readBytes,
    close,
  };
}

function archiveInput(file: StoredFile, content: FileContent, format: 'custom' | 'tar' | 'directory'): RestoreInput {
  const { bytes } = content;
  const unpack = content.unpack?.bind(content);
  const database = readArchiveHead(content.head)?.database;
  return {
    format,
    ...(database === undefined ? {} : { database }),
    ...(bytes === undefined ? {} : { expectedBytes: bytes }),
    open: (signal) => file.proveSame(content.open(signal), signal),
    ...(unpack === undefined
      ? {}
      : {
          unpack: (folder: string, signal: AbortSignal) => file.proveSameAfter(() => unpack(folder, signal), signal),
        }),
  };
}

function scriptInput(file: StoredFile, content: FileContent, section: string | undefined): RestoreInput {
  return {
    format: 'sql',
    part: section === undefined ? 'whole' : { database: section },
    ...(section === undefined ? {} : { database: section }),
    ...(content.bytes === undefined ? {} : { expectedBytes: content.bytes }),
    open: (signal) => file.proveSame(content.open(signal), signal),
  };
}

function readServerMajor({ format, head }: FileContent): number | undefined {
  if (format !== 'sql' && format !== 'dumpall') return readArchiveHead(head)?.serverMajor;
  const major = /^-- Dumped from database version ([0-9]+)/m.exec(head.toString('latin1'))?.[1];
  return major === undefined ? undefined : Number(major);
}
