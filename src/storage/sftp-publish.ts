import { dirname } from 'node:path/posix';
import { Failure } from '../api/failure.ts';
import type { SftpAbility } from './sftp-abilities.ts';
import { sftpStatus, sftpStatusOf } from './sftp-errors.ts';
import { removeFile, syncFolder } from './sftp-folders.ts';
import { kindAt, lookAt } from './sftp-look.ts';
import type { SftpSession } from './sftp-session.ts';
import type { PutOptions } from './storage.ts';

/** Makes the finished file visible, durably. Takes no signal: a rename cannot be taken back half-way. */
export async function publishFile(
  session: SftpSession,
  temporary: string,
  target: string,
  aside: string,
  options: PutOptions,
): Promise<void> {
  if (options.onlyIfAbsent === true) await publishIfAbsent(session, temporary, target);
  else await replace(session, temporary, target, aside, options.inOneStep === true);
  try {
    await syncFolder(session, dirname(target));
  } catch (error) {
    // It may not outlive the server: then it is better not seen at all, where nothing older had the name.
    if (options.onlyIfAbsent === true) await removeFile(session, target).catch(() => undefined);
    throw error;
  }
}

async function replace(
  session: SftpSession,
  temporary: string,
  target: string,
  aside: string,
  inOneStep: boolean,
): Promise<void> {
  const done = await tryExtension(session, 'rename', () =>
    session.ask<void>(`rename to ${target}`, (channel, answer) =>
      channel.ext_openssh_rename(temporary, target, answer),
    ),
  );
  if (done === 'done') return session.abilities.prove('rename');
  if (inOneStep)
    throw (
      done ??
      new Failure('StorageConfigInvalid', `the server does not replace ${target} in one step`, {
        hint: 'let it offer posix-rename@openssh.com (OpenSSH does)',
      })
    );
  try {
    await renameOrReplace(session, temporary, target, aside);
  } catch (error) {
    throw sftpStatusOf(error) === 0 ? error : (done ?? error);
  }
  if (done !== undefined && !session.abilities.isProven('rename')) session.abilities.refuse('rename');
}

/** After a loss in the middle of replacing: the older object gets its name back, or goes when the new one has it. */
export async function settleAside(
  session: SftpSession,
  target: string,
  aside: string,
  signal: AbortSignal,
): Promise<void> {
  if ((await lookAt(session, aside, signal)) === undefined) return;
  if ((await lookAt(session, target, signal)) === undefined) await rename(session, aside, target);
  else await removeFile(session, aside, signal);
}

async function renameOrReplace(session: SftpSession, temporary: string, target: string, aside: string): Promise<void> {
  try {
    await rename(session, temporary, target);
  } catch (error) {
    // Version 3 of the protocol does not replace. The older object steps aside and comes back if the new one cannot take its place.
    const older = sftpStatusOf(error) === sftpStatus.noSuchFile ? undefined : await lookAt(session, target);
    if (older === undefined) throw error;
    if ((await kindAt(session, target, older)) === 'folder')
      throw new Failure('StorageConfigInvalid', `${target} is a folder, so that no object can be stored there`, {
        cause: error,
      });
    await rename(session, target, aside);
    try {
      await rename(session, temporary, target);
    } catch (second) {
      await rename(session, aside, target);
      throw second;
    }
    await removeFile(session, aside);
  }
}

async function publishIfAbsent(session: SftpSession, temporary: string, target: string): Promise<void> {
  const { abilities } = session;
  // Until a link was seen to be one: some servers answer that they made it, and make none (rclone).
  if (!abilities.isProven('hardlink')) await refuseExisting(session, target);
  const linked = await tryExtension(session, 'hardlink', () =>
    session.ask<void>(`link ${target}`, (channel, answer) => channel.ext_openssh_hardlink(temporary, target, answer)),
  );
  if (linked === 'done') {
    if (abilities.isProven('hardlink') || (await lookAt(session, target)) !== undefined) {
      abilities.prove('hardlink');
      return await removeFile(session, temporary);
    }
    abilities.refuse('hardlink');
  } else await refuseExisting(session, target);
  // It linked before: this is a failure, and only a link is sure to be the first.
  if (linked instanceof Failure && abilities.isProven('hardlink')) throw linked;
  try {
    await rename(session, temporary, target);
  } catch (error) {
    // The name was free before, and the server said that it linked ours to it: a link that is seen late is no other writer's.
    if (linked === 'done' && (await lookAt(session, target)) !== undefined) return await removeFile(session, temporary);
    await refuseExisting(session, target);
    throw error;
  }
  // The file system of the server has no links.
  if (linked instanceof Failure) abilities.refuse('hardlink');
}

/** `done`, what the server refused it with, or undefined where it is not offered (any more). Other failures are thrown. */
async function tryExtension(
  session: SftpSession,
  ability: SftpAbility,
  work: () => Promise<void>,
): Promise<'done' | Failure | undefined> {
  if (!session.abilities.has(ability)) return undefined;
  try {
    await work();
    return 'done';
  } catch (error) {
    if (sftpStatusOf(error) === 0 || !(error instanceof Failure)) throw error;
    return error;
  }
}

async function refuseExisting(session: SftpSession, target: string): Promise<void> {
  if ((await lookAt(session, target)) !== undefined) throw new Failure('AlreadyStored', `${target} exists already`);
}

async function rename(session: SftpSession, from: string, to: string): Promise<void> {
  try {
    await session.ask<void>(`rename to ${to}`, (channel, done) => channel.rename(from, to, done));
  } catch (error) {
    const status = sftpStatusOf(error);
    if (status !== sftpStatus.permissionDenied && status !== sftpStatus.unsupported) throw error;
    throw new Failure('StorageDenied', `the server does not rename ${from} to ${to}`, {
      hint: 'allow the user to rename files: they are written under a temporary name and appear when they are whole',
      cause: error instanceof Failure ? error.cause : error,
    });
  }
}
