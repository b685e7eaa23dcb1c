import { createHash, generateKeyPairSync } from 'node:crypto';
import ssh2 from 'ssh2';
import { serveSftpFiles, type SftpHabits, type SftpScript } from './scripted-sftp-files.ts';

export interface ScriptedSftp {
  readonly port: number;
  readonly hostKey: string;
  /** Asked for every request; `index` counts each `what` from 0, since the script was set. */
  script: SftpScript;
  /** For connections to come. */
  habits: SftpHabits;
  stop(): Promise<void>;
}

/** One for all servers of a test file: making it takes a second. */
const hostKeyPem = generateKeyPairSync('rsa', { modulusLength: 2048 })
  .privateKey.export({ type: 'pkcs1', format: 'pem' })
  .toString();

/** An SFTP server over SSH (password or keyboard-interactive) on a folder, with habits of its own, that misbehaves as told. */
export async function startScriptedSftp(options: {
  readonly dir: string;
  readonly username: string;
  readonly password: string;
  readonly onlyKeyboard?: boolean;
  /** Ways to log in that it wants one after the other, as `AuthenticationMethods` of OpenSSH; default any of password and prompt. */
  readonly chain?: readonly ssh2.AuthenticationType[];
  /** In the format of SSH, that publickey takes. */
  readonly publicKey?: Buffer;
  readonly habits?: SftpHabits;
}): Promise<ScriptedSftp> {
  const pem = hostKeyPem;
  const parsed: ssh2.ParsedKey | ssh2.ParsedKey[] | Error = ssh2.utils.parseKey(pem);
  if (parsed instanceof Error) throw parsed;
  const blob = (Array.isArray(parsed) ? parsed[0] : parsed)?.getPublicSSH() ?? Buffer.alloc(0);
  const hostKey = `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
  const state: { script: SftpScript; habits: SftpHabits } = {
    script: () => undefined,
    habits: options.habits ?? {},
  };
  const counts = new Map<string, number>();
  const clients = new Set<ssh2.Connection>();

  const server = new ssh2.Server({ hostKeys: [pem] }, (client) => {
    clients.add(client);
    // Answers are many small packets: each would wait for an acknowledgement.
    (client as ssh2.Connection & { setNoDelay(on: boolean): void }).setNoDelay(true);
    client.on('error', () => undefined);
    client.on('close', () => clients.delete(client));
    announcePackets(client, () => state.habits.packetBytes);
    const steps = [...(options.chain ?? [])];
    client.on('authentication', (login) => {
      const [wanted] = steps;
      if (wanted !== undefined) {
        if (login.method !== wanted) return login.reject([wanted]);
        return takeStep(login, options, (isRight) => {
          // A key is shown before it is used.
          if (isRight && login.method === 'publickey' && login.signature === undefined) return login.accept();
          if (!isRight) return login.reject([wanted]);
          steps.shift();
          const [next] = steps;
          if (next === undefined) login.accept();
          else login.reject([next], true);
        });
      }
      const right = (password: string | undefined) =>
        login.username === options.username && password === options.password;
      if (login.method === 'password' && options.onlyKeyboard !== true && right(login.password)) return login.accept();
      if (login.method !== 'keyboard-interactive') return login.reject(['password', 'keyboard-interactive']);
      login.prompt([{ prompt: 'Password: ', echo: false }], ([answer]) =>
        right(answer) ? login.accept() : login.reject(),
      );
    });
    client.on('session', (acceptSession) =>
      acceptSession().on('subsystem', (accept) => {
        const channel = accept();
        const take = serveSftpFiles({
          dir: options.dir,
          habits: state.habits,
          meet: (what, path) => {
            const index = counts.get(what) ?? 0;
            counts.set(what, index + 1);
            return state.script(what, index, path);
          },
          send: (bytes) => void channel.write(bytes),
          disconnect: () => client.end(),
        });
        channel.on('data', take);
        channel.on('error', () => undefined);
      }),
    );
  });

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
    get habits() {
      return state.habits;
    },
    set habits(habits) {
      state.habits = habits;
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const client of clients) client.end();
      }),
  };
}

interface Protocol {
  channelOpenConfirm: (recipient: number, sender: number, windowBytes: number, packetBytes: number) => void;
}

/** Has channels opened with another maximum of a packet than ssh2's own, which cannot be set. */
function announcePackets(client: ssh2.Connection, wanted: () => number | undefined): void {
  const protocol = Reflect.get(client, '_protocol') as Protocol;
  const confirm = protocol.channelOpenConfirm.bind(protocol);
  protocol.channelOpenConfirm = (recipient, sender, windowBytes, packetBytes) =>
    confirm(recipient, sender, windowBytes, wanted() ?? packetBytes);
}

/** Whether one way to log in is passed. */
function takeStep(
  login: ssh2.AuthContext,
  {
    username,
    password,
    publicKey,
  }: { readonly username: string; readonly password: string; readonly publicKey?: Buffer },
  done: (isRight: boolean) => void,
): void {
  const right = (given: string | undefined): boolean => login.username === username && given === password;
  if (login.method === 'password') return done(right(login.password));
  if (login.method === 'publickey') return done(publicKey?.equals(login.key.data) === true);
  if (login.method !== 'keyboard-interactive') return done(false);
  login.prompt([{ prompt: 'Password: ', echo: false }], ([answer]) => done(right(answer)));
}
