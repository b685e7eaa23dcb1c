import { spawn } from 'node:child_process';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { argv, exit, stdin, stdout } from 'node:process';
import { foldPath, spoilFile, type Spoil } from './spoil-file.ts';

// The SFTP subsystem of a real sshd: OpenSSH's own sftp-server with somebody in between who reads the packets and misbehaves as a
// file says. `node sftp-subsystem.ts <sftp-server> <rule file>`

/** What the rule file holds. */
export interface SftpRule {
  /** Extensions that the server does not tell of (`posix-rename@openssh.com`). */
  readonly hide?: readonly string[];
  /** The packet that is met, by name; an extension counts under its own name. */
  readonly on?: 'open' | 'write' | 'mkdir' | 'fstat' | 'remove' | (string & {});
  /** Only of them whose packet holds this text (the end of a path, say). */
  readonly about?: string;
  /** Which of them, from 0, in each connection; all of them from there if `always`. */
  readonly index?: number;
  readonly always?: boolean;
  /** The connection ends without an answer, or the request is answered with a status of SFTP. */
  readonly answer?: 'disconnect' | { readonly status: number; readonly message: string };
  /** What becomes of each file whose path holds `about` once it got its name, before that is acknowledged. */
  readonly spoil?: Spoil;
  /** How often a file whose path holds `about` is not there when somebody asks for it after it got its name. */
  readonly deny?: number;
  /** Names that differ in upper and lower case only are one name, as on vfat, NTFS or SMB. */
  readonly fold?: boolean;
  /** Written by the subsystem: how often the rule was met. */
  readonly met?: number;
}

const [, , program = '', ruleFile = ''] = argv;
const readRule = (): SftpRule => JSON.parse(readFileSync(ruleFile, 'utf8')) as SftpRule;
const rule = readRule();
const names: Readonly<Record<number, string>> = {
  3: 'open',
  6: 'write',
  8: 'fstat',
  13: 'remove',
  14: 'mkdir',
  18: 'rename',
};
const counts = new Map<string, number>();

const server = spawn(program, [], { stdio: ['pipe', 'pipe', 'inherit'] });
server.on('exit', (code) => exit(code ?? 1));
server.stdin.on('error', () => undefined);
stdout.on('error', () => undefined);

function nameOf(packet: Buffer): string {
  const type = packet[4] ?? 0;
  if (type !== 200) return names[type] ?? '';
  const length = packet.readUInt32BE(9);
  return packet.subarray(13, 13 + length).toString();
}

function meets(packet: Buffer): boolean {
  const name = nameOf(packet);
  if (rule.answer === undefined || name !== rule.on) return false;
  if (rule.about !== undefined && !packet.includes(rule.about)) return false;
  const index = counts.get(name) ?? 0;
  counts.set(name, index + 1);
  const hit = rule.always === true ? index >= (rule.index ?? 0) : index === (rule.index ?? 0);
  if (hit) countMet();
  return hit;
}

function countMet(): void {
  writeFileSync(`${ruleFile}.new`, JSON.stringify({ ...readRule(), met: (readRule().met ?? 0) + 1 }));
  renameSync(`${ruleFile}.new`, ruleFile);
}

/** Where the paths of a packet begin (at their length), those that it asks for or gives a file. */
function pathsOf(packet: Buffer): readonly number[] {
  const type = packet[4] ?? 0;
  const next = (at: number): number => at + 4 + packet.readUInt32BE(at);
  const named = ['posix-rename@openssh.com', 'hardlink@openssh.com'].includes(nameOf(packet));
  if (named) return [next(9), next(next(9))];
  if (type === 18) return [9, next(9)];
  return [3, 7, 13, 17].includes(type) ? [9] : [];
}

const textAt = (packet: Buffer, at: number): string =>
  packet.subarray(at + 4, at + 4 + packet.readUInt32BE(at)).toString();

function fold(packet: Buffer): void {
  for (const at of pathsOf(packet)) {
    const path = textAt(packet, at);
    packet.write(foldPath(path), at + 4);
  }
}

/** Requests that give a file its name, by their id, until they are answered. */
const naming = new Map<number, string>();
let hidden = 0;

/** True when the file that is asked for is not shown. */
function hides(packet: Buffer): boolean {
  const paths = pathsOf(packet).map((at) => textAt(packet, at));
  const last = paths.at(-1) ?? '';
  if (rule.about === undefined || !last.endsWith(rule.about)) return false;
  if (paths.length === 2) naming.set(packet.readUInt32BE(5), last);
  // Asked for: open, lstat, stat.
  if (![3, 7, 17].includes(packet[4] ?? 0) || hidden <= 0) return false;
  hidden -= 1;
  return true;
}

/** A file has its name, and nobody was told yet. */
function onNamed(packet: Buffer): void {
  const path = packet[4] === 101 ? naming.get(packet.readUInt32BE(5)) : undefined;
  if (path === undefined) return;
  naming.delete(packet.readUInt32BE(5));
  if (packet.readUInt32BE(9) !== 0) return;
  hidden = rule.deny ?? 0;
  if (rule.deny !== undefined || (rule.spoil !== undefined && spoilFile(rule.spoil, path))) countMet();
}

function toServer(packet: Buffer): void {
  if (rule.fold === true) fold(packet);
  if (hides(packet)) return refuse(packet, 2, 'No such file');
  if (!meets(packet)) return void server.stdin.write(packet);
  if (rule.answer === 'disconnect' || rule.answer === undefined) {
    server.kill('SIGKILL');
    exit(1);
  }
  refuse(packet, rule.answer.status, rule.answer.message);
}

function refuse(packet: Buffer, status: number, text: string): void {
  const message = Buffer.from(text);
  const body = Buffer.alloc(1 + 4 + 4 + 4 + message.length + 4);
  body[0] = 101;
  packet.copy(body, 1, 5, 9);
  body.writeUInt32BE(status, 5);
  body.writeUInt32BE(message.length, 9);
  message.copy(body, 13);
  write(body);
}

function toClient(packet: Buffer): void {
  onNamed(packet);
  if (packet[4] !== 2 || rule.hide === undefined) return void stdout.write(packet);
  const kept: Buffer[] = [packet.subarray(4, 9)];
  for (let at = 9; at < packet.length;) {
    const nameEnd = at + 4 + packet.readUInt32BE(at);
    const end = nameEnd + 4 + packet.readUInt32BE(nameEnd);
    if (!rule.hide.includes(packet.subarray(at + 4, nameEnd).toString())) kept.push(packet.subarray(at, end));
    at = end;
  }
  write(Buffer.concat(kept));
}

function write(body: Buffer): void {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  stdout.write(Buffer.concat([length, body]));
}

/** Cuts a stream into whole packets. */
function onPackets(take: (packet: Buffer) => void): (bytes: Buffer) => void {
  let held: Buffer = Buffer.alloc(0);
  return (bytes) => {
    held = held.length === 0 ? bytes : Buffer.concat([held, bytes]);
    while (held.length >= 4 && held.length >= 4 + held.readUInt32BE(0)) {
      const end = 4 + held.readUInt32BE(0);
      take(held.subarray(0, end));
      held = held.subarray(end);
    }
  };
}

stdin.on('data', onPackets(toServer));
stdin.on('end', () => server.stdin.end());
server.stdout.on('data', onPackets(toClient));
