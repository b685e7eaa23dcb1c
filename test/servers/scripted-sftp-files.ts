import {
  closeSync,
  fstatSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readSync,
  type Stats,
} from 'node:fs';
import {
  readdirSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmdirSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { onPackets, packetOf, PacketReader, sftpCode, sftpPacket, text, uint32, uint64 } from './sftp-packets.ts';

/** What happens instead of the right answer to one request; undefined = the right answer. */
export type SftpFault =
  | undefined
  | 'disconnect'
  | 'silence'
  /** "Done", and nothing is. */
  | 'pretence'
  | { readonly code: number; readonly message: string };

/** What is asked: the name of a packet (`open`, `write`, `opendir`, …) or of an extension without its domain (`fsync`, `posix-rename`). */
export type SftpScript = (what: string, index: number, path: string) => SftpFault;

export interface ToldAttributes {
  readonly size?: number | undefined;
  readonly mode?: number | undefined;
  /** Seconds. */
  readonly mtime?: number | undefined;
}

/** How a server is unlike OpenSSH. Without any, it has no extension, and lists without attributes. */
export interface SftpHabits {
  /** What `limits@openssh.com` answers, bytes; it is not offered without. What is larger is refused. */
  readonly limits?: { readonly packet: number; readonly read: number; readonly write: number };
  /** How much a packet to it may hold, told by SSH below SFTP when the channel is opened; default 32768. */
  readonly packetBytes?: number;
  /** Offered extensions: fsync, posix-rename, hardlink, statvfs, limits. They work, but for what the script says. */
  readonly offers?: readonly string[];
  /** Reads are answered with half of what was asked for. */
  readonly shortReads?: boolean;
  /** Answers leave in the wrong order. */
  readonly shuffles?: boolean;
  /** What attributes tell; default all. */
  readonly tells?: (all: ToldAttributes) => ToldAttributes;
  /** Listings have attributes and lines as `ls -l` prints them. */
  readonly listsAttributes?: boolean;
  readonly longNames?: boolean;
  /** Of a file that was written, the size is known when it has been closed and looked at so many times. */
  readonly knowsSizeAfter?: number;
  readonly freeBytes?: number;
  /** A listing instead of the right one: the names of each page, undefined at its end. */
  readonly pages?: (page: number) => readonly string[] | undefined;
}

type Open =
  { readonly file: number; readonly path: string; readonly written: boolean } | { page: number; path: string };

/** Serves a folder by version 3 of the protocol; gives back what takes the bytes of the client. */
export function serveSftpFiles(options: {
  readonly dir: string;
  readonly habits: SftpHabits;
  /** The fault of this request, if it is to meet one. */
  readonly meet: (what: string, path: string) => SftpFault;
  readonly send: (bytes: Buffer) => void;
  readonly disconnect: () => void;
}): (bytes: Buffer) => void {
  const { dir, habits, meet } = options;
  const opened = new Map<number, Open>();
  const looks = new Map<string, number>();
  let handles = 0;
  let held: Buffer[] = [];

  const send = (packet: Buffer): void => {
    if (habits.shuffles !== true) return options.send(packet);
    if (held.length === 0)
      setImmediate(() => {
        const answers = held.reverse();
        held = [];
        for (const answer of answers) options.send(answer);
      });
    held.push(packet);
  };
  const status = (id: number, code: number, message = ''): void =>
    send(packetOf(sftpPacket.status, uint32(id), uint32(code), text(message), text('')));
  const failed = (id: number, error: unknown): void => {
    const code = error instanceof Error && 'code' in error ? error.code : '';
    if (code === 'ENOENT' || code === 'ENOTDIR') status(id, sftpCode.noSuchFile);
    else status(id, code === 'EACCES' || code === 'EPERM' ? sftpCode.permissionDenied : sftpCode.failure);
  };

  const encode = (all: ToldAttributes): Buffer => {
    const { size, mode, mtime } = (habits.tells ?? ((told) => told))(all);
    const flags = (size === undefined ? 0 : 1) | (mode === undefined ? 0 : 4) | (mtime === undefined ? 0 : 8);
    return Buffer.concat([
      uint32(flags),
      ...(size === undefined ? [] : [uint64(size)]),
      ...(mode === undefined ? [] : [uint32(mode)]),
      ...(mtime === undefined ? [] : [uint32(mtime), uint32(mtime)]),
    ]);
  };
  /** As an object store: the size comes late. */
  const knownStats = (path: string, stats: Stats): Stats => {
    const left = looks.get(path);
    if (left === undefined) return stats;
    if (left === 0) looks.delete(path);
    else looks.set(path, left - 1);
    return left === 0 ? stats : Object.assign(stats, { size: 0 });
  };
  const attributes = (id: number, path: string, stats: Stats): void => {
    const { size, mode, mtimeMs } = knownStats(path, stats);
    send(packetOf(sftpPacket.attributes, uint32(id), encode({ size, mode, mtime: Math.floor(mtimeMs / 1000) })));
  };
  const handle = (id: number, one: Open): void => {
    handles += 1;
    opened.set(handles, one);
    send(packetOf(sftpPacket.handle, uint32(id), text(uint32(handles))));
  };
  const name = (path: string, shown: string): Buffer => {
    if (habits.listsAttributes !== true && habits.longNames !== true)
      return Buffer.concat([text(shown), text(shown), uint32(0)]);
    const stats = lstatSync(join(path, shown));
    const others = stats.isSymbolicLink() ? 'l' : '-';
    const type = stats.isDirectory() ? 'd' : others;
    const line = habits.longNames === true ? `${type}rw-r-----   1 u g ${stats.size} Nov 29 10:00 ${shown}` : shown;
    const all = { size: stats.size, mode: stats.mode, mtime: Math.floor(stats.mtimeMs / 1000) };
    return Buffer.concat([text(shown), text(line), habits.listsAttributes === true ? encode(all) : uint32(0)]);
  };
  const names = (id: number, all: readonly Buffer[]): void =>
    send(packetOf(sftpPacket.name, uint32(id), uint32(all.length), ...all));

  function readPage(id: number, folder: Open | undefined): void {
    if (folder === undefined || !('page' in folder)) return status(id, sftpCode.failure);
    const page = folder.page;
    folder.page += 1;
    if (habits.pages !== undefined) {
      const given = habits.pages(page);
      if (given === undefined) return status(id, sftpCode.endOfFile);
      return names(
        id,
        given.map((shown) => Buffer.concat([text(shown), text(shown), encode({ size: 1, mode: 0o100644, mtime: 1 })])),
      );
    }
    const all = readdirSync(folder.path).slice(page * 100, (page + 1) * 100);
    if (all.length === 0) return status(id, sftpCode.endOfFile);
    names(
      id,
      all.map((shown) => name(folder.path, shown)),
    );
  }

  function write(id: number, one: Open | undefined, at: number, bytes: Buffer): void {
    const most = habits.limits?.write ?? 0;
    if (most > 0 && bytes.length > most) return status(id, sftpCode.failure, `write of ${bytes.length} bytes`);
    if (one === undefined || !('file' in one)) return status(id, sftpCode.failure);
    writeSync(one.file, bytes, 0, bytes.length, at);
    status(id, sftpCode.ok);
  }

  function read(id: number, one: Open | undefined, at: number, wanted: number): void {
    const most = habits.limits?.read ?? 0;
    const length = habits.shortReads === true ? Math.ceil(wanted / 2) : wanted;
    const bytes = Buffer.alloc(most > 0 ? Math.min(length, most) : Math.min(length, 256 * 1024));
    if (one === undefined || !('file' in one)) return status(id, sftpCode.failure);
    const got = readSync(one.file, bytes, 0, bytes.length, at);
    if (got === 0) status(id, sftpCode.endOfFile);
    else send(packetOf(sftpPacket.data, uint32(id), text(bytes.subarray(0, got))));
  }

  function close(id: number, number: number): void {
    const one = opened.get(number);
    opened.delete(number);
    if (one !== undefined && 'file' in one) {
      closeSync(one.file);
      if (one.written && habits.knowsSizeAfter !== undefined) looks.set(one.path, habits.knowsSizeAfter);
    }
    status(id, sftpCode.ok);
  }

  function extended(id: number, extension: string, from: PacketReader): void {
    if (extension === 'limits') {
      const { packet = 0, read = 0, write = 0 } = habits.limits ?? {};
      return send(packetOf(sftpPacket.extendedReply, uint32(id), ...[packet, read, write, 0].map(uint64)));
    }
    if (extension === 'statvfs') {
      const free = habits.freeBytes ?? 0;
      const values = [1, 1, 1 << 30, free, free, 1000, 1000, 1000, 0, 0, 255];
      return send(packetOf(sftpPacket.extendedReply, uint32(id), ...values.map(uint64)));
    }
    if (extension === 'posix-rename') renameSync(from.text(), from.text());
    else if (extension === 'hardlink') linkSync(from.text(), from.text());
    else if (extension === 'fsync') {
      const one = opened.get(from.bytes().readUInt32BE());
      if (one !== undefined && 'file' in one) fsyncSync(one.file);
    } else return status(id, sftpCode.unsupported);
    status(id, sftpCode.ok);
  }

  function work(type: number, id: number, from: PacketReader): void {
    const found = (): Open | undefined => opened.get(from.bytes().readUInt32BE());
    if (type === sftpPacket.open) {
      const path = from.text();
      const written = (from.uint32() & 2) !== 0;
      return handle(id, { file: openSync(path, written ? 'wx' : 'r'), path, written });
    }
    if (type === sftpPacket.close) return close(id, from.bytes().readUInt32BE());
    if (type === sftpPacket.read) return read(id, found(), from.uint64(), from.uint32());
    if (type === sftpPacket.write) return write(id, found(), from.uint64(), from.bytes());
    if (type === sftpPacket.readdir) return readPage(id, found());
    if (type === sftpPacket.fstat) {
      const one = found();
      if (one === undefined || !('file' in one)) return status(id, sftpCode.failure);
      const stats = fstatSync(one.file);
      const early = one.written && habits.knowsSizeAfter !== undefined;
      return attributes(id, one.path, early ? Object.assign(stats, { size: 0 }) : stats);
    }
    const path = from.text();
    if (type === sftpPacket.lstat) return attributes(id, path, lstatSync(path));
    if (type === sftpPacket.stat) return attributes(id, path, statSync(path));
    if (type === sftpPacket.realpath) {
      const real = path === '.' ? dir : realpathSync(path);
      return names(id, [Buffer.concat([text(real), text(real), uint32(0)])]);
    }
    if (type === sftpPacket.readlink) {
      const target = readlinkSync(path);
      return names(id, [Buffer.concat([text(target), text(target), uint32(0)])]);
    }
    if (type === sftpPacket.opendir) {
      readdirSync(path);
      return handle(id, { page: 0, path });
    }
    if (type === sftpPacket.remove) unlinkSync(path);
    else if (type === sftpPacket.mkdir) mkdirSync(path);
    else if (type === sftpPacket.rmdir) rmdirSync(path);
    else if (type === sftpPacket.rename) {
      const to = from.text();
      // Version 3 refuses when the target exists.
      if (lstatSync(to, { throwIfNoEntry: false }) !== undefined) return status(id, sftpCode.failure);
      renameSync(path, to);
      const left = looks.get(path);
      if (left !== undefined) looks.set(to, left);
      looks.delete(path);
    } else return status(id, sftpCode.unsupported);
    status(id, sftpCode.ok);
  }

  const nameOf = new Map<number, string>(Object.entries(sftpPacket).map(([called, type]) => [type, called]));
  const hasPath = new Set<number>([3, 7, 11, 13, 14, 15, 16, 17, 18, 19]);

  function serve(packet: Buffer): void {
    const type = packet[0] ?? 0;
    const { packet: longest = 0 } = habits.limits ?? {};
    if (longest > 0 && packet.length > longest) return options.disconnect();
    const from = new PacketReader(packet, 1);
    const id = type === sftpPacket.init ? 0 : from.uint32();
    const extension = type === sftpPacket.extended ? from.text().replace('@openssh.com', '') : undefined;
    const path = hasPath.has(type) ? new PacketReader(packet, 5).text() : '';
    const fault = meet(extension ?? nameOf.get(type) ?? '', path);
    if (fault === 'disconnect') return options.disconnect();
    if (fault === 'silence') return;
    if (fault === 'pretence') return status(id, sftpCode.ok);
    if (fault !== undefined) return status(id, fault.code, fault.message);
    if (type === sftpPacket.init) {
      const offers = [...(habits.offers ?? []), ...(habits.limits === undefined ? [] : ['limits'])];
      const pairs = offers.flatMap((one) => [text(`${one}@openssh.com`), text(one === 'statvfs' ? '2' : '1')]);
      return options.send(packetOf(sftpPacket.version, uint32(3), ...pairs));
    }
    try {
      if (extension !== undefined) extended(id, extension, from);
      else work(type, id, from);
    } catch (error) {
      failed(id, error);
    }
  }

  return onPackets(serve);
}
