import { leadsOut } from './inner-links.ts';
import { isTemporaryName } from './keys.ts';
import { sftpStatusOf } from './sftp-errors.ts';
import { findObstacle, kindAt, lookAt, type SftpKind } from './sftp-look.ts';
import type { SftpSession } from './sftp-session.ts';
import type { SftpAttributes } from './sftp-channel.ts';

/** As many links as Linux follows for one path. */
const mostLinks = 40;
const mostSteps = 1_000;
const longestTarget = 4_096;

export interface FoundAtKey {
  /** Undefined when nothing is there. */
  readonly kind: SftpKind | undefined;
  readonly attributes?: SftpAttributes;
}

/** What a key names; `link` also where one is on the way. */
export async function findAtKey(
  session: SftpSession,
  root: string,
  key: string,
  signal: AbortSignal,
): Promise<FoundAtKey> {
  const path = `${root}/${key}`;
  const looking = lookAt(session, path, signal);
  looking.catch(() => undefined);
  const obstacle = await findObstacle(session, root, key, signal);
  if (obstacle !== undefined) return { kind: obstacle.kind === 'link' ? 'link' : undefined };
  const attributes = await looking;
  if (attributes === undefined) return { kind: undefined };
  return { kind: await kindAt(session, path, attributes, signal), attributes };
}

/**
 * The key ('' = the root) of what a key means after all links, which are read here one by one: servers follow them wherever they lead.
 * Undefined when nothing is there, or links go round.
 * @throws Failure StorageDenied when a link leads out of the root
 */
export async function resolveLinks(
  session: SftpSession,
  root: string,
  key: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  let done: string[] = [];
  let rest = key.split('/');
  let links = 0;
  for (let steps = 0; steps < mostSteps; steps += 1) {
    const segment = rest.shift();
    if (segment === undefined) return isTemporaryName(done.at(-1) ?? '') ? undefined : done.join('/');
    if (segment === '' || segment === '.') continue;
    if (segment === '..') {
      if (done.pop() === undefined) throw leadsOut(key, root);
      continue;
    }
    const path = [root, ...done, segment].join('/');
    const found = await lookAt(session, path, signal);
    if (found === undefined) return undefined;
    const kind = await kindAt(session, path, found, signal);
    if (kind === 'link') {
      links += 1;
      if (links > mostLinks) return undefined;
      const target = await readLink(session, path, signal);
      if (target.length > longestTarget) return undefined;
      if (target.startsWith('/')) done = [];
      const inner = target.startsWith('/') ? await findInside(session, root, target, signal) : target;
      if (inner === undefined) throw leadsOut(key, root);
      rest = [...inner.split('/'), ...rest];
    } else {
      // Below a file there is nothing.
      if (kind !== 'folder' && rest.some((one) => one !== '' && one !== '.')) return undefined;
      done.push(segment);
    }
  }
  return undefined;
}

function readLink(session: SftpSession, path: string, signal: AbortSignal): Promise<string> {
  return session.ask<string>(`read link ${path}`, (channel, done) => channel.readlink(path, done), signal);
}

/** The part of an absolute path below the root; a root behind links is also known by its other names. */
async function findInside(
  session: SftpSession,
  root: string,
  path: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const known = below(root, path);
  if (known !== undefined) return known;
  try {
    const real = await session.ask<string>(`look at ${path}`, (channel, done) => channel.realpath(path, done), signal);
    return below(root, real);
  } catch (error) {
    if (sftpStatusOf(error) === 0) throw error;
    return undefined;
  }
}

function below(root: string, path: string): string | undefined {
  const start = root === '/.' ? '/' : `${root}/`;
  if (`${path}/` === start) return '';
  return path.startsWith(start) ? path.slice(start.length) : undefined;
}
