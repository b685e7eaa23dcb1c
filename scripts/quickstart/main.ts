import '../../test/servers/use-private-programs.ts';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { prove } from './prove.ts';
import { restoreShop } from './restore-shop.ts';
import { runProgram } from './run-program.ts';
import { makeSample } from './sample.ts';
import { megabytes, openScreen, seconds } from './screen.ts';
import { startServers } from './start-servers.ts';
import { writeObjects, writeRestore } from './write-objects.ts';

// `make quickstart`: the product on servers of its own, which live below one temporary folder and end with it.

const startedMs = performance.now();
const project = fileURLToPath(new URL('../../', import.meta.url));
const screen = openScreen(process.stdout, (process.env['NO_COLOR'] ?? '') !== '');
const stop = new AbortController();
const interrupted = new Promise<never>((_, reject) => {
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      const error = new Error(`stopped by ${name}`);
      stop.abort(error);
      reject(error);
    });
  }
});
interrupted.catch(() => undefined);

const owned = new AsyncDisposableStack();
let failure: Error | undefined;
try {
  await Promise.race([run(owned, stop.signal), interrupted]);
} catch (error) {
  failure = toError(error);
}
await owned.disposeAsync().catch((error: unknown) => {
  failure ??= toError(error);
});

if (failure === undefined) {
  screen.line(`\nDone in ${seconds(startedMs)}; every server has ended and every file of it is gone.`);
} else {
  screen.line(`\nquickstart failed: ${failure.message}`);
  if (!stop.signal.aborted)
    screen.line('remedy: run `make setup` and try again; if it fails again, please report it with the lines above');
}
process.exit(failure === undefined ? 0 : 1);

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

async function run(owned: AsyncDisposableStack, signal: AbortSignal): Promise<void> {
  screen.title('pgbackup: one dump, three places, a restore, and the proof');
  const folder = await mkdtemp(join(tmpdir(), 'pgbackup-quickstart-'));
  owned.defer(async () => rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }));
  // PostgreSQL, as another user, has its files below it.
  await chmod(folder, 0o755);

  const servers = await screen.step('private servers', async () => {
    const value = await startServers(folder, owned);
    return {
      value,
      detail: `PostgreSQL ${value.postgres.major} (TLS), ${value.s3.kind} (S3), OpenSSH (SFTP), a folder`,
    };
  });
  signal.throwIfAborted();
  await screen.step('sample databases', async () => {
    const databases = await makeSample(servers.postgres);
    return { value: undefined, detail: databases.map(({ name, bytes }) => `${name} ${megabytes(bytes)}`).join(', ') };
  });
  signal.throwIfAborted();

  const objects = join(folder, 'objects.yaml');
  await writeObjects(objects, servers);
  screen.line(
    `\n  ${screen.dim('$')} pgbackup local objects.yaml --once    ${screen.dim('(manifests/examples with these addresses)')}`,
  );
  const pgbackup = async (...args: readonly string[]): Promise<void> => {
    const running = runProgram(
      process.execPath,
      ['src/main.ts', ...args, '--state-dir', join(folder, 'state')],
      signal,
      {
        cwd: project,
        env: { ...process.env, PGBACKUP_PROGRAMS: servers.postgres.binDir, HOME: dirname(objects) },
        name: `pgbackup ${args[0]}`,
        output: 'show',
      },
    );
    // Asked to stop, it does so in order, and the servers stay until then.
    owned.defer(async () => void (await running.catch(() => undefined)));
    await running;
  };
  await pgbackup('local', objects, '--once');
  screen.line();
  await prove(servers, folder, screen, signal);

  const request = join(folder, 'restore.yaml');
  await writeRestore(request, servers);
  await restoreShop(servers, screen, async () => {
    screen.line(
      `\n  ${screen.dim('$')} pgbackup local restore objects.yaml restore.yaml    ${screen.dim('(manifests/examples/restore-replace.yaml)')}`,
    );
    await pgbackup('local', 'restore', objects, request);
  });
}
