import { Failure } from '../api/failure.ts';
import type { FailureReason } from '../api/reasons.ts';
import { saysFull } from './says-full.ts';
import type { LoginPlan } from './sftp-login.ts';

/** Status codes of SFTP version 3. */
export const sftpStatus = {
  endOfFile: 1,
  noSuchFile: 2,
  permissionDenied: 3,
  failure: 4,
  noConnection: 6,
  connectionLost: 7,
  unsupported: 8,
} as const;

/** Of later versions of the protocol: some servers use them all the same. */
const laterStatus: Readonly<Record<number, FailureReason>> = {
  12: 'StorageDenied',
  14: 'StorageFull',
  15: 'StorageFull',
};

/** The numeric status of an answer, 0 if the error is something else. */
export function sftpStatusOf(error: unknown): number {
  const caught = error instanceof Failure ? error.cause : error;
  if (!(caught instanceof Error) || !('code' in caught)) return 0;
  return typeof caught.code === 'number' ? caught.code : 0;
}

/** What to do about it on an SFTP server. */
const hints: Partial<Record<FailureReason, string>> = {
  StorageDenied:
    'the user must be allowed to create, read, rename and delete files and folders in the folder of the location',
  StorageFull: 'make room on the SFTP server, or raise the quota of its user',
  StorageFailed: 'look into the log of the SFTP server: its answer says no more',
  StorageConfigInvalid: 'the SFTP server does not support what was asked for: use another one',
  StorageUnreachable: 'check host, port and network policies, and that the SFTP server runs',
};

/** The answer to one SFTP request as a Failure. */
export function toSftpFailure(error: unknown, what: string): Failure {
  if (error instanceof Failure) return error;
  const message = error instanceof Error ? error.message : String(error);
  const reason = chooseReason(sftpStatusOf(error), message);
  const hint = hints[reason];
  return new Failure(reason, `${what}: ${message}`, { cause: error, ...(hint === undefined ? {} : { hint }) });
}

function chooseReason(status: number, message: string): FailureReason {
  if (status === sftpStatus.noSuchFile) return 'ObjectMissing';
  if (status > 0 && saysFull(message)) return 'StorageFull';
  if (status === sftpStatus.permissionDenied) return 'StorageDenied';
  if (status === sftpStatus.unsupported) return 'StorageConfigInvalid';
  if (status === sftpStatus.noConnection || status === sftpStatus.connectionLost) return 'StorageUnreachable';
  const later = laterStatus[status];
  if (later !== undefined) return later;
  if (/read-only/i.test(message)) return 'StorageDenied';
  if (message === 'No response from server') return 'StorageUnreachable';
  return 'StorageFailed';
}

/** A failed attempt to connect and log in as a Failure. */
export function toConnectFailure(error: unknown, where: string, plan: LoginPlan): Failure {
  if (error instanceof Failure) return error;
  const message = error instanceof Error ? error.message : String(error);
  const level = error instanceof Error && 'level' in error ? error.level : '';
  const reason = chooseConnectReason(level, message);
  if (reason === 'StorageCredentialsInvalid') return plan.explain(where, error);
  const hint =
    reason === 'StorageConfigInvalid'
      ? 'see whether sftp (the program) connects with the same host and port; the server must have an SFTP subsystem'
      : hints.StorageUnreachable;
  return new Failure(reason, `${where}: ${message}`, { cause: error, ...(hint === undefined ? {} : { hint }) });
}

function chooseConnectReason(level: unknown, message: string): FailureReason {
  if (level === 'client-authentication' || /authentication methods failed|authentication fail/i.test(message))
    return 'StorageCredentialsInvalid';
  if (/unable to start subsystem|no matching|no common|invalid identification|unsupported protocol/i.test(message))
    return 'StorageConfigInvalid';
  return 'StorageUnreachable';
}
