import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, realpath, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const suite = 'bookworm';
const mirror = 'http://deb.debian.org/debian';

/** What is needed besides root. */
export const imagePrograms = ['buildah', 'debootstrap', 'npm'] as const;

export interface ImageOptions {
  /** The project's root, with its Dockerfile. */
  readonly root: string;
  /** What is kept from one time to the next lies here: Debian's base, and npm's downloads. */
  readonly cache: string;
  readonly name: string;
}

export interface BuiltImage {
  /** An OCI archive. */
  readonly archive: string;
  readonly seconds: number;
  remove(): Promise<void>;
}

/**
 * Builds the project's Dockerfile as it is, but with bases that need no container registry: Debian by debootstrap and, for the
 * build stage, the same with this machine's npm and the Node.js of node_modules.
 */
export async function buildImage({ root, cache, name }: ImageOptions): Promise<BuiltImage> {
  await mkdir(cache, { recursive: true });
  const base = await makeBase(cache);
  const startedAt = performance.now();
  const folder = await mkdtemp(join(cache, 'build-'));
  const caches = join(cache, 'downloads');
  await mkdir(caches, { recursive: true });
  const storage = ['--storage-driver', 'overlay', '--root', join(folder, 'storage'), '--runroot', join(folder, 'run')];
  // TMPDIR: where buildah keeps the cache of `RUN --mount=type=cache`.
  const env = { ...process.env, BUILDAH_ISOLATION: 'chroot', TMPDIR: caches };
  const buildah = async (...args: readonly string[]): Promise<string> =>
    (await run('buildah', [...storage, ...args], { env, maxBuffer: 1 << 26 })).stdout.trim();
  const remove = async (): Promise<void> => {
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
    await buildah('bud', ...bases.flatMap((each) => ['--build-arg', each]), '--tag', name, root);
    const archive = join(folder, 'image.tar');
    await buildah('push', '--quiet', name, `oci-archive:${archive}:${name}`);
    return { archive, seconds: (performance.now() - startedAt) / 1000, remove };
  } catch (error) {
    await remove();
    const { stderr = '' } = error as { stderr?: string };
    throw new Error(`the image was not built: ${stderr.slice(-3000)}`, { cause: error });
  }
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
