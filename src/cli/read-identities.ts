import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Failure } from '../api/failure.ts';
import { recogniseIdentity, sealedKeyMaxBytes, type Identity } from '../encryption/identity.ts';
import type { KmsAccess } from '../encryption/kms-access.ts';
import { limitRequests } from '../runner/limit-kms.ts';
import { makeAgents } from '../storage/s3-agent.ts';
import type { CommandWorld } from './command-world.ts';
import { readProxy } from './read-proxy.ts';

export interface IdentityOptions {
  readonly identity: readonly string[];
  readonly passphraseFile: string | undefined;
  /** Asks AWS KMS as whom the environment says. */
  readonly kms: boolean;
  readonly kmsEndpoint: string | undefined;
}

/** What opens backups, as a command line says it. @throws Failure IdentityInvalid, FileMissing, FileRefused */
export async function readIdentities(world: CommandWorld, options: IdentityOptions): Promise<readonly Identity[]> {
  const words =
    options.passphraseFile === undefined
      ? undefined
      : (await readKeyFile(world, options.passphraseFile)).toString('utf8').replace(/\r?\n$/, '');
  const identities: Identity[] = [];
  for (const path of options.identity) identities.push(recogniseIdentity(await readKeyFile(world, path), words));
  if (options.kms) identities.push({ kind: 'kms', access: kmsOfEnvironment(world, options.kmsEndpoint) });
  return identities;
}

/** AWS KMS with the credentials, the proxy and the authorities (NODE_EXTRA_CA_CERTS) of the environment. */
export function kmsOfEnvironment({ env, clock, signal }: CommandWorld, endpoint: string | undefined): KmsAccess {
  return {
    ...(endpoint === undefined ? {} : { endpoint }),
    agents: makeAgents({ endpoint, proxy: readProxy(env), of: 'kms' }),
    limit: limitRequests(clock, signal, Number.POSITIVE_INFINITY),
  };
}

/** A file with a key in it. @throws Failure FileMissing, FileRefused when it is too large */
export async function readKeyFile(world: CommandWorld, path: string): Promise<Buffer> {
  try {
    const file = await open(resolve(world.folder, path));
    try {
      const { size } = await file.stat();
      if (size > sealedKeyMaxBytes) throw new Failure('FileRefused', `${path} is too large for a key (${size} bytes)`);
      return await file.readFile();
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw unreadable(path, error);
  }
}

export function unreadable(path: string, cause: unknown): Failure {
  return new Failure('FileMissing', `${path} cannot be read: ${String(cause)}`, { cause });
}
