/** What the driver uses of an SFTP channel; ssh2's wrapper has this shape. */
export interface SftpChannel {
  on(event: 'error' | 'close', listener: (error: Error) => void): unknown;
  open(path: string, flags: number, attributes: { mode: number }, done: Answer<Buffer>): void;
  close(handle: Buffer, done: Answer<void>): void;
  read(handle: Buffer, into: Buffer, offset: number, length: number, position: number, done: Answer<number>): void;
  write(handle: Buffer, from: Buffer, offset: number, length: number, position: number, done: Answer<void>): void;
  fstat(handle: Buffer, done: Answer<SftpAttributes>): void;
  stat(path: string, done: Answer<SftpAttributes>): void;
  lstat(path: string, done: Answer<SftpAttributes>): void;
  readlink(path: string, done: Answer<string>): void;
  opendir(path: string, done: Answer<Buffer>): void;
  /** One page. */
  readdir(handle: Buffer, done: Answer<readonly SftpEntry[]>): void;
  mkdir(path: string, attributes: { mode: number }, done: Answer<void>): void;
  rmdir(path: string, done: Answer<void>): void;
  unlink(path: string, done: Answer<void>): void;
  rename(from: string, to: string, done: Answer<void>): void;
  realpath(path: string, done: Answer<string>): void;
  ext_openssh_rename(from: string, to: string, done: Answer<void>): void;
  ext_openssh_hardlink(from: string, to: string, done: Answer<void>): void;
  ext_openssh_fsync(handle: Buffer, done: Answer<void>): void;
  ext_openssh_statvfs(path: string, done: Answer<SftpSpace>): void;
}

export type Answer<T> = (error: Error | null | undefined, value: T) => void;

/** Each server tells what it likes to. */
export interface SftpAttributes {
  readonly size: number | undefined;
  readonly mode: number | undefined;
  /** Seconds. */
  readonly mtime: number | undefined;
}

/** Of a file system: `statvfs@openssh.com`. */
export interface SftpSpace {
  readonly f_frsize: number;
  readonly f_bavail: number;
  readonly f_files: number;
  readonly f_favail: number;
}

export interface SftpEntry {
  readonly filename: string;
  readonly longname: string;
  readonly attrs: SftpAttributes;
}
