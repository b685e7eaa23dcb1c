import { Failure } from '../../../api/failure.ts';
import { baseOf, folderOf, isDumpFolderName, readMemberName } from '../../../pipeline/member-names.ts';
import { recognise } from '../../../pipeline/recognise.ts';
import { compileFilePattern } from './file-pattern.ts';

/** A member of a ZIP or tar. */
export interface Member {
  /** As it stands there. */
  readonly name: string;
  readonly bytes: number;
  readonly kind: 'file' | 'folder' | 'other';
  /** Its first bytes; few of them will do. */
  head(): Promise<Buffer>;
}

/** What of it is restored: one file, or a folder of pg_dump --format=directory ('' = the top). */
export type ChosenMember<M extends Member> =
  | { readonly kind: 'file'; readonly name: string; readonly member: M }
  | { readonly kind: 'folder'; readonly folder: string; readonly members: readonly M[]; readonly contents: M };

type Named<M> = { readonly name: string; readonly member: M };

const namesShown = 10;
const mostPeeked = 100;
const litter = /(^|\/)(__MACOSX(\/|$)|\.DS_Store$|Thumbs\.db$|desktop\.ini$|\._[^/]*$)/;

/**
 * Finds the one that is meant: by pattern, else the only one, else the only one whose content can be restored. The files of a dumped
 * folder count as one. @throws Failure FileAmbiguous, FileMissing, FileUnknown, FileRefused (names that lead outside, names twice)
 */
export async function chooseMember<M extends Member>(
  members: readonly M[],
  pattern: string | undefined,
  archive: string,
): Promise<ChosenMember<M>> {
  const named = members.map((member) => ({ name: readMemberName(member.name), member }));
  const found = named.filter(({ name, member }) => member.kind !== 'folder' && name !== '' && !litter.test(name));
  refuseTwins(found);
  const folders = found.filter(({ name }) => baseOf(name) === 'toc.dat').map(({ name }) => folderOf(name));
  const candidates = [
    ...folders.map((folder) => gatherFolder(folder, found)),
    ...found
      .filter(({ name, member }) => member.kind === 'file' && !belongsTo(name, folders))
      .map(({ name, member }) => ({ kind: 'file', name, member }) as const),
  ];
  const wanted = pattern === undefined ? candidates : candidates.filter((one) => isMeant(one, pattern));
  if (wanted.length === 0) throw nothing(candidates, pattern, archive);
  const [only] = wanted;
  if (only !== undefined && wanted.length === 1) return only;
  const usable = await keepRestorable(wanted);
  const [single] = usable;
  if (single !== undefined && usable.length === 1) return single;
  const names = (usable.length === 0 ? wanted : usable).map(nameOf);
  if (usable.length === 0) {
    throw new Failure('FileUnknown', `none of the files in ${archive} can be restored: ${list(names)}`);
  }
  throw new Failure('FileAmbiguous', `${archive} holds several files that could be meant: ${list(names)}`);
}

/** In a folder of pg_dump; restore.sql is what its tars hold besides. */
function belongsTo(name: string, folders: readonly string[]): boolean {
  const base = baseOf(name);
  return folders.includes(folderOf(name)) && (isDumpFolderName(base) || base === 'restore.sql');
}

function gatherFolder<M extends Member>(folder: string, found: readonly Named<M>[]): ChosenMember<M> {
  const inside = found.filter(({ name }) => folderOf(name) === folder && isDumpFolderName(baseOf(name)));
  const link = inside.find(({ member }) => member.kind === 'other');
  if (link !== undefined) throw new Failure('FileRefused', `${link.name} is a link or device`);
  const contents = inside.find(({ name }) => baseOf(name) === 'toc.dat');
  if (contents === undefined) throw new Failure('Internal', 'a folder without contents');
  return { kind: 'folder', folder, members: inside.map(({ member }) => member), contents: contents.member };
}

async function keepRestorable<M extends Member>(
  candidates: readonly ChosenMember<M>[],
): Promise<readonly ChosenMember<M>[]> {
  if (candidates.length > mostPeeked) return candidates;
  const usable: ChosenMember<M>[] = [];
  const refusals: Failure[] = [];
  for (const candidate of candidates) {
    const refusal = candidate.kind === 'folder' ? undefined : await findRefusal(candidate.member);
    if (refusal === undefined) usable.push(candidate);
    else refusals.push(refusal);
  }
  const encrypted = refusals.find(({ reason }) => reason === 'FileEncrypted');
  if (usable.length === 0 && encrypted !== undefined) throw encrypted;
  return usable;
}

async function findRefusal(member: Member): Promise<Failure | undefined> {
  try {
    const content = recognise(await member.head(), member.name);
    return content.kind === 'refused' ? content.failure : undefined;
  } catch (error) {
    if (error instanceof Failure && error.reason.startsWith('File')) return error;
    throw error;
  }
}

function isMeant<M extends Member>(candidate: ChosenMember<M>, pattern: string): boolean {
  const test = compileFilePattern(pattern);
  if (candidate.kind === 'file') return test(candidate.name);
  const { folder } = candidate;
  return test(folder) || test(`${folder}/`) || test(folder === '' ? 'toc.dat' : `${folder}/toc.dat`);
}

function nothing<M extends Member>(
  candidates: readonly ChosenMember<M>[],
  pattern: string | undefined,
  archive: string,
): Failure {
  if (candidates.length === 0) return new Failure('FileUnknown', `${archive} holds no file`);
  return new Failure(
    'FileMissing',
    `no file in ${archive} matches ${pattern}; it holds ${list(candidates.map(nameOf))}`,
  );
}

function nameOf<M extends Member>(candidate: ChosenMember<M>): string {
  return candidate.kind === 'file' ? candidate.name : `${candidate.folder}/`;
}

function refuseTwins<M>(found: readonly Named<M>[]): void {
  const names = new Set<string>();
  for (const { name } of found) {
    if (names.has(name)) throw new Failure('FileRefused', `two members have the same name: ${name}`);
    names.add(name);
  }
}

function list(names: readonly string[]): string {
  const shown = names.slice(0, namesShown).join(', ');
  return names.length > namesShown ? `${shown} and ${names.length - namesShown} more` : shown;
}
