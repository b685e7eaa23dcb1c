import { createHash, generateKeyPairSync } from 'node:crypto';
import { close, fstat, lstat, mkdir, open, read, rename, stat, unlink, write, type Stats } from 'node:fs';
import { readdir } from 'node:fs/promises';
import ssh2 from 'ssh2';

const { STATUS_CODE: status } = ssh2.utils.sftp;

/** What happens instead of the right answer to one request; undefined = the right answer. */
export type SftpFault = undefined | 'disconnect' | 'silence' | { readonly code: number; readonly message: string };

export interface ScriptedSftp {
  readonly port: number;
  readonly hostKey: string;
  /** `what` is open, write, read, rename, unlink, stat, mkdir, close, readdir; `index` counts each from 0. */
  script: (what: string, index: number) => SftpFault;
  stop(): Promise<void>;
}

/** An SFTP server (version 3, without any extension, password or keyboard-interactive) on a folder that misbehaves as told. */
export async function startScriptedSftp(options: {
  readonly dir: string;
  readonly username: string;
  readonly password: string;
  readonly onlyKeyboard?: boolean;
}): Promise<ScriptedSftp> {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const pem = privateKey.export({ type: 'pkcs1', format: 'pem' }).toString();
  const parsed: ssh2.ParsedKey | ssh2.ParsedKey[] | Error = ssh2.utils.parseKey(pem);
  if (parsed instanceof Error) throw parsed;
  const blob = (Array.isArray(parsed) ? parsed[0] : parsed)?.getPublicSSH() ?? Buffer.alloc(0);
  const hostKey = `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
  const state: { script: (what: string, index: number) => SftpFault } = { script: () => undefined };
  const counts = new Map<string, number>();
  const clients = new Set<ssh2.Connection>();

  const server = new ssh2.Server({ hostKeys: [pem] }, (client) => {
    clients.add(client);
    client.on('error', () => undefined);
    client.on('close', () => clients.delete(client));
    client.on('authentication', (login) => {
      const right = (password: string | undefined) =>
        login.username === options.username && password === options.password;
      if (login.method === 'password' && options.onlyKeyboard !== true && right(login.password)) return login.accept();
      if (login.method !== 'keyboard-interactive') return login.reject(['password', 'keyboard-interactive']);
      login.prompt([{ prompt: 'Password: ', echo: false }], ([answer]) =>
        right(answer) ? login.accept() : login.reject(),
      );
    });
    client.on('session', (accept) => accept().on('sftp', (acceptSftp) => serve(acceptSftp(), client)));
  });

  function serve(sftp: ssh2.SFTPWrapper, client: ssh2.Connection): void {
    const files = new Map<number, number | { readonly path: string; told: boolean }>();
    let handles = 0;
    /** Answers as the script says, else does the work. */
    const meet = (what: string, id: number, work: () => void): void => {
      const index = counts.get(what) ?? 0;
      counts.set(what, index + 1);
      const fault = state.script(what, index);
      if (fault === undefined) work();
      else if (fault === 'disconnect') client.end();
      else if (fault !== 'silence') sftp.status(id, fault.code, fault.message);
    };
    const done = (id: number) => (error: NodeJS.ErrnoException | null) => sftp.status(id, codeOf(error));
    const give = (id: number) => (error: NodeJS.ErrnoException | null, found: Stats) =>
      error === null ? sftp.attrs(id, attributesOf(found)) : sftp.status(id, codeOf(error));
    const make = (id: number, file: number | { readonly path: string; told: boolean }): void => {
      handles += 1;
      files.set(handles, file);
      const handle = Buffer.alloc(4);
      handle.writeUInt32BE(handles);
      sftp.handle(id, handle);
    };
    const fd = (handle: Buffer): number => {
      const file = files.get(handle.readUInt32BE());
      return typeof file === 'number' ? file : -1;
    };
    sftp.on('REALPATH', (id, path) => {
      const name = path === '.' ? options.dir : path;
      sftp.name(id, [{ filename: name, longname: name, attrs: attributesOf(undefined) }]);
    });
    sftp.on('OPEN', (id, path, flags) =>
      meet('open', id, () =>
        open(path, (flags & 2) === 0 ? 'r' : 'wx', (error, file) =>
          error === null ? make(id, file) : sftp.status(id, codeOf(error)),
        ),
      ),
    );
    sftp.on('WRITE', (id, handle, offset, bytes) =>
      meet('write', id, () => write(fd(handle), bytes, 0, bytes.length, offset, done(id))),
    );
    sftp.on('READ', (id, handle, offset, length) =>
      meet('read', id, () =>
        // Half of what was asked for, as servers may.
        read(
          fd(handle),
          Buffer.alloc(Math.ceil(length / 2)),
          0,
          Math.ceil(length / 2),
          offset,
          (error, count, bytes) => {
            if (error !== null || count === 0) sftp.status(id, error === null ? status.EOF : status.FAILURE);
            else sftp.data(id, bytes.subarray(0, count));
          },
        ),
      ),
    );
    sftp.on('FSTAT', (id, handle) => meet('stat', id, () => fstat(fd(handle), give(id))));
    sftp.on('STAT', (id, path) => meet('stat', id, () => stat(path, give(id))));
    sftp.on('LSTAT', (id, path) => meet('stat', id, () => lstat(path, give(id))));
    sftp.on('MKDIR', (id, path) => meet('mkdir', id, () => mkdir(path, done(id))));
    sftp.on('RMDIR', (id) => sftp.status(id, status.FAILURE));
    sftp.on('REMOVE', (id, path) => meet('unlink', id, () => unlink(path, done(id))));
    sftp.on('RENAME', (id, from, to) =>
      meet('rename', id, () =>
        // Version 3 refuses when the target exists.
        lstat(to, (missing) => (missing === null ? sftp.status(id, status.FAILURE) : rename(from, to, done(id)))),
      ),
    );
    sftp.on('OPENDIR', (id, path) =>
      stat(path, (error) => (error === null ? make(id, { path, told: false }) : sftp.status(id, codeOf(error)))),
    );
    sftp.on('READDIR', (id, handle) =>
      meet('readdir', id, () => {
        const folder = files.get(handle.readUInt32BE());
        if (typeof folder !== 'object' || folder.told) return sftp.status(id, status.EOF);
        folder.told = true;
        // Without attributes, as some servers list.
        void readdir(folder.path).then((names) =>
          sftp.name(
            id,
            names.map((filename) => ({ filename, longname: filename, attrs: {} as ssh2.Attributes })),
          ),
        );
      }),
    );
    sftp.on('CLOSE', (id, handle) =>
      meet('close', id, () => {
        const file = files.get(handle.readUInt32BE());
        if (typeof file === 'number') close(file, done(id));
        else sftp.status(id, status.OK);
      }),
    );
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    hostKey,
    get script() {
      return state.script;
    },
    set script(script) {
      counts.clear();
      state.script = script;
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const client of clients) client.end();
      }),
  };
}

function codeOf(error: NodeJS.ErrnoException | null): number {
  if (error === null) return status.OK;
  return error.code === 'ENOENT' ? status.NO_SUCH_FILE : status.FAILURE;
}

function attributesOf(found: Stats | undefined): ssh2.Attributes {
  const { mode = 0, uid = 0, gid = 0, size = 0, atimeMs = 0, mtimeMs = 0 } = found ?? {};
  return { mode, uid, gid, size, atime: Math.floor(atimeMs / 1000), mtime: Math.floor(mtimeMs / 1000) };
}
