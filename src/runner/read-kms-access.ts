import type { TaskKms } from '../domain/task.ts';
import type { KmsAccess } from '../encryption/kms-access.ts';
import { makeAgents } from '../storage/s3-agent.ts';
import { limitRequests } from './limit-kms.ts';
import type { Workshop } from './workshop.ts';

/** @throws Failure SecretMissing, SecretInvalid, StorageConfigInvalid for a proxy that cannot be read */
export async function readKmsAccess(
  { region, endpoint, credentials, ca }: TaskKms,
  { secrets, signal, clock, proxy }: Pick<Workshop, 'secrets' | 'signal' | 'clock' | 'proxy'>,
): Promise<KmsAccess> {
  const keys =
    credentials === undefined
      ? undefined
      : await secrets.read(
          credentials,
          { oneOf: [['accessKeyId', 'secretAccessKey']], optional: ['sessionToken'] },
          signal,
        );
  const authorities = ca === undefined ? undefined : (await secrets.read(ca, { oneOf: [['ca']] }, signal))['ca'];
  const { accessKeyId = '', secretAccessKey = '', sessionToken } = keys ?? {};
  return {
    ...(region === undefined ? {} : { region }),
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(keys === undefined
      ? {}
      : {
          credentials: { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) },
        }),
    agents: makeAgents({ endpoint, ca: authorities, proxy, of: 'kms' }),
    limit: limitRequests(clock, signal),
  };
}
