import { Failure } from '../../../api/failure.ts';
import type { Bytes } from '../../../pipeline/bytes.ts';
import { decompress } from '../../../pipeline/decompress.ts';
import { limitBytes } from '../../../pipeline/limit-bytes.ts';
import { baseOf, readMemberName } from '../../../pipeline/member-names.ts';
import { readHead } from '../../../pipeline/read-head.ts';
import { headBytes, recognise } from '../../../pipeline/recognise.ts';
import type { SeekableBytes } from '../../../pipeline/seekable-bytes.ts';
import { checkTar } from '../../../pipeline/tar-check.ts';
import { readTar } from '../../../pipeline/tar.ts';
import { readZip } from '../../../pipeline/zip.ts';
import { chooseMember, type Member } from './file-member.ts';
import { unpackFolder, type FolderFile } from './file-unpack.ts';

/** What a file was found to be, whatever it is packed in. */
export interface FileContent {
  readonly format: 'custom' | 'tar' | 'directory' | 'sql' | 'dumpall';
  /** Inside of a ZIP or tar. */
  readonly member?: string;
  /** First bytes; of a directory those of its toc.dat. */
  readonly head: Buffer;
  readonly bytes?: number;
  /** Not of a directory. */
  open(signal: AbortSignal): Bytes;
  /** Of a directory. */
  unpack?(folder: string, signal: AbortSignal): Promise<string>;
}

/** One skin of a packed file. */
interface Layer {
  readonly name: string;
  readonly packings: number;
  readonly bytes?: number;
  readonly member?: string;
  readonly seekable?: SeekableBytes;
  open(signal: AbortSignal): Bytes;
}

interface Limits {
  readonly pattern: string | undefined;
  /** All that it unpacks to. */
  readonly bytes: number;
}

/** A .sql.gz in a ZIP, a folder in a .tar.zst: more is no habit of anybody's. */
const mostPackings = 2;
const memberHeadBytes = 16 * 1024;
const mostMemberHeads = 100;
const alwaysUnpacked = 1024 ** 3;
const mostExpansion = 1000;

/**
 * Looks into a file until it comes to what can be restored. `pattern` chooses a member. Nothing is written.
 * @throws Failure FileUnknown, FileEncrypted, FileAmbiguous, FileMissing, FileRefused, FileDamaged, FileIncomplete, those of the place
 */
export async function findContent(
  file: SeekableBytes & { readonly key: string },
  pattern: string | undefined,
  signal: AbortSignal,
): Promise<FileContent> {
  const limits = { pattern, bytes: Math.max(alwaysUnpacked, mostExpansion * file.bytes) };
  const layer: Layer = {
    name: file.key,
    packings: 0,
    bytes: file.bytes,
    seekable: file,
    open: (opening) => file.read(0, file.bytes, opening),
  };
  return await lookInto(layer, limits, signal);
}

async function lookInto(layer: Layer, limits: Limits, signal: AbortSignal): Promise<FileContent> {
  const head = await readHead(layer.open(signal), headBytes);
  const content = recognise(head, layer.name);
  const { kind } = content;
  if (kind === 'refused') throw content.failure;
  if (kind === 'custom' || kind === 'sql' || kind === 'dumpall') return plainContent(layer, kind, head);
  if (kind === 'dump-tar') {
    const tar = { ...layer, open: (opening: AbortSignal) => checkTar(layer.open(opening)) };
    return plainContent(tar, 'tar', head.subarray(512));
  }
  if (layer.packings === mostPackings) {
    throw new Failure('FileUnknown', `${layer.name} is packed more than ${mostPackings} times`);
  }
  if (kind === 'zip') return await lookIntoZip(layer, limits, signal);
  if (kind === 'tar') return await lookIntoTar(layer, limits, signal);
  const { bytes: _packed, seekable: _seekable, ...rest } = layer;
  const unpacked: Layer = {
    ...rest,
    packings: layer.packings + 1,
    open: (opening) =>
      limitBytes(decompress({ algorithm: kind, damage: 'FileDamaged' })(layer.open(opening)), limits.bytes, layer.name),
  };
  return await lookInto(unpacked, limits, signal);
}

function plainContent(layer: Layer, format: FileContent['format'], head: Buffer): FileContent {
  return {
    format,
    head,
    ...(layer.member === undefined ? {} : { member: layer.member }),
    ...(layer.bytes === undefined ? {} : { bytes: layer.bytes }),
    open: (signal) => layer.open(signal),
  };
}

async function lookIntoZip(layer: Layer, limits: Limits, signal: AbortSignal): Promise<FileContent> {
  if (layer.seekable === undefined) {
    throw new Failure('FileUnknown', `${layer.name} is a ZIP inside of another archive`);
  }
  const zip = await readZip(layer.seekable, signal);
  const members = zip.map((member) => ({
    ...member,
    head: () =>
      member.kind === 'folder' ? Promise.resolve(Buffer.alloc(0)) : readHead(member.open(signal), headBytes),
  }));
  const chosen = await chooseMember(members, limits.pattern, layer.name);
  if (chosen.kind === 'file') {
    const { member, name } = chosen;
    const inside: Layer = {
      name: `${layer.name}: ${name}`,
      packings: layer.packings + 1,
      bytes: member.bytes,
      member: name,
      open: (opening) => limitBytes(member.open(opening), limits.bytes, name),
    };
    return await lookInto(inside, limits, signal);
  }
  async function* files(opening: AbortSignal): AsyncGenerator<FolderFile, void, void> {
    for (const member of chosen.kind === 'folder' ? chosen.members : []) {
      yield { name: baseOf(member.name), bytes: member.bytes, content: member.open(opening) };
    }
  }
  return await folderContent(chosen, files, limits);
}

async function lookIntoTar(layer: Layer, limits: Limits, signal: AbortSignal): Promise<FileContent> {
  const { seekable } = layer;
  const read = (opening: AbortSignal) =>
    readTar(
      layer.open(opening),
      seekable === undefined ? undefined : (offset) => seekable.read(offset, seekable.bytes, opening),
    );
  const members: Member[] = [];
  let heads = 0;
  for await (const { content, ...member } of read(signal)) {
    const isContents = baseOf(member.name) === 'toc.dat';
    const peeked = member.kind === 'file' && (isContents || heads < mostMemberHeads);
    if (peeked && !isContents) heads += 1;
    const head = peeked ? await readHead(content, memberHeadBytes) : Buffer.alloc(0);
    members.push({ ...member, head: () => Promise.resolve(head) });
  }
  const chosen = await chooseMember(members, limits.pattern, layer.name);
  if (chosen.kind === 'file') {
    const { name, member } = chosen;
    async function* open(opening: AbortSignal): AsyncGenerator<Uint8Array, void, void> {
      let isThere = false;
      for await (const one of read(opening)) {
        if (readMemberName(one.name) !== name) continue;
        isThere = true;
        yield* one.content;
      }
      if (!isThere) throw new Failure('FileDamaged', `${name} is not in ${layer.name} any more`);
    }
    const inside: Layer = {
      name: `${layer.name}: ${name}`,
      packings: layer.packings + 1,
      bytes: member.bytes,
      member: name,
      open,
    };
    return await lookInto(inside, limits, signal);
  }
  const wanted = new Set(chosen.members.map((member) => member.name));
  async function* files(opening: AbortSignal): AsyncGenerator<FolderFile, void, void> {
    for await (const one of read(opening)) {
      if (wanted.has(one.name)) yield { name: baseOf(one.name), bytes: one.bytes, content: one.content };
    }
  }
  return await folderContent(chosen, files, limits);
}

async function folderContent(
  chosen: { readonly folder: string; readonly members: readonly Member[]; readonly contents: Member },
  files: (signal: AbortSignal) => AsyncIterable<FolderFile>,
  limits: Limits,
): Promise<FileContent> {
  const bytes = chosen.members.reduce((sum, member) => sum + member.bytes, 0);
  if (bytes > limits.bytes) {
    throw new Failure(
      'FileRefused',
      `the folder ${chosen.folder}/ unpacks to ${bytes} bytes, far more than its size admits`,
    );
  }
  const head = await chosen.contents.head();
  if (recognise(head, 'toc.dat').kind !== 'custom') {
    throw new Failure('FileUnknown', `${chosen.folder}/toc.dat is no table of contents of pg_dump`);
  }
  return {
    format: 'directory',
    member: chosen.folder,
    head,
    bytes,
    open: () => {
      throw new Failure('Internal', 'a folder is no stream: it is unpacked');
    },
    unpack: (folder, signal) => unpackFolder(folder, files(signal), bytes),
  };
}
