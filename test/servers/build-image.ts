import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, realpath, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const suite = 'bookworm';
const mirror = 'http://deb.debian.org/debian';

/** What is needed besides root. */
export const imagePrograms = ['buildah', 'debootstrap', 'npm'] as const;

/** As .dockerignore names them, and this file. */
const inputs =
  'Dockerfile .dockerignore package.json package-lock.json .npmrc tsconfig.json tsconfig.build.json src test/servers/build-image.ts';

export interface ImageOptions {
  /** The project's root, with its Dockerfile. */
  readonly root: string;
  /** What is kept from one time to the next lies here: Debian's base, npm's downloads, and the newest image. */
  readonly cache: string;
  readonly name: string;
}

export interface BuiltImage {
  /** An OCI archive; it stays. */
  readonly archive: string;
  /** How long the build took; 0 when the same had been built before. */
  readonly seconds: number;
}

/**
 * Builds the project's Dockerfile as it is, but with bases that need no container registry: Debian by debootstrap and, for the
 * build stage, the same with this machine's npm and the Node.js of node_modules. What was built from the same files is not built again.
 */
export async function buildImage({ root, cache, name }: ImageOptions): Promise<BuiltImage> {
  await mkdir(cache, { recursive: true });
  const archive = join(cache, `image-${await hashInputs(root, name)}.tar`);
  if (existsSync(archive)) return { archive, seconds: 0 };
  const startedAt = performance.now();
  const base = await makeBase(cache);
  const folder = await mkdtemp(join(cache, 'build-'));
  const caches = join(cache, 'downloads');
  await mkdir(caches, { recursive: true });
  const storage = ['--storage-driver', 'overlay', '--root', join(folder, 'storage'), '--runroot', join(folder, 'run')];
  // TMPDIR: where buildah keeps the cache of `RUN --mount=type=cache`.
  const env = { ...process.env, BUILDAH_ISOLATION: 'chroot', TMPDIR: caches };
  const buildah = async (...args: readonly string[]): Promise<string> =>
    (await run('buildah', [...storage, ...args], { env, maxBuffer: 1 << 26 })).stdout.trim();
  const clear = async (): Promise<void> => {
    // The driver mounts its folder onto itself.
    await run('umount', [join(folder, 'storage/overlay')]).catch(() => undefined);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const plain = await buildah('from', 'scratch');
    await buildah('copy', '--quiet', plain, base, '/');
    await buildah('commit', '--quiet', plain, 'localhost/base:1');
    const builder = await buildah('from', 'localhost/base:1');
    const npm = dirname(dirname(await realpath((await run('which', ['npm'])).stdout.trim())));
    await buildah('copy', '--quiet', builder, join(root, 'node_modules/node/bin/node'), '/usr/local/bin/node');
    await buildah('copy', '--quiet', builder, npm, '/usr/local/lib/node_modules/npm');
    await symlinkInto(buildah, builder, '../lib/node_modules/npm/bin/npm-cli.js', 'usr/local/bin/npm');
    const authorities = '/etc/ssl/certs/ca-certificates.crt';
    if (existsSync(authorities)) {
      // This machine may reach the registry through a proxy with an authority of its own.
      await buildah('copy', '--quiet', builder, authorities, '/etc/authorities.crt');
      await writeFile(join(folder, 'npmrc'), 'cafile=/etc/authorities.crt\n');
      await buildah('copy', '--quiet', builder, join(folder, 'npmrc'), '/root/.npmrc');
    }
    await buildah('commit', '--quiet', builder, 'localhost/build:1');
    const bases = ['BASE=localhost/base:1', 'BUILD_BASE=localhost/build:1', 'PGDG=false'];
    await buildah('bud', '--jobs', '2', ...bases.flatMap((each) => ['--build-arg', each]), '--tag', name, root);
    const written = join(folder, 'image.tar');
    await buildah('push', '--quiet', name, `oci-archive:${written}:${name}`);
    for (const old of await readdir(cache)) if (old.startsWith('image-')) await rm(join(cache, old), { force: true });
    await rename(written, archive);
    return { archive, seconds: (performance.now() - startedAt) / 1000 };
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    throw new Error(`the image was not built: ${stdout.slice(-2000)}\n${stderr.slice(-1000)}`, {
      cause: error,
    });
  } finally {
    await clear();
  }
}

/** Everything that the image is made from, but for what Debian has today. */
async function hashInputs(root: string, name: string): Promise<string> {
  const hash = createHash('sha256').update(name);
  const add = async (path: string): Promise<void> => {
    if ((await stat(path)).isDirectory()) {
      for (const each of (await readdir(path)).toSorted()) await add(join(path, each));
    } else {
      hash.update(`\0${path.slice(root.length)}\0`).update(await readFile(path));
    }
  };
  for (const each of inputs.split(' ')) await add(join(root, each));
  return hash.digest('hex').slice(0, 16);
}

async function symlinkInto(
  buildah: (...args: readonly string[]) => Promise<string>,
  container: string,
  target: string,
  path: string,
): Promise<void> {
  const mounted = await buildah('mount', container);
  await symlink(target, join(mounted, path));
  await buildah('umount', container);
}

/** Debian, as small as it gets; kept, since it takes a minute. */
async function makeBase(cache: string): Promise<string> {
  const base = join(cache, suite);
  if (existsSync(base)) return base;
  const partial = await mkdtemp(join(cache, 'base-'));
  await run('debootstrap', ['--variant=minbase', '--include=ca-certificates', suite, partial, mirror], {
    maxBuffer: 1 << 26,
  });
  for (const path of ['var/cache/apt/archives', 'var/lib/apt/lists']) {
    await rm(join(partial, path), { recursive: true, force: true });
    await mkdir(join(partial, path, 'partial'), { recursive: true });
  }
  await rename(partial, base);
  return base;
}
