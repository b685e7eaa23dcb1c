import { readFile, writeFile } from 'node:fs/promises';
import { fillInExamples } from './fill-in-examples.ts';
import { backupUser, restoreUser } from './sample.ts';
import type { Servers } from './start-servers.ts';

const examples = ['secrets', 'location-s3', 'location-sftp', 'location-directory', 'policy-three-places'];

/** Writes the examples of manifests/examples with the addresses and secrets of these servers into one file. */
export async function writeObjects(file: string, servers: Servers): Promise<void> {
  const { postgres, ca, s3, bucket, sshd, sftpFolder, disk } = servers;
  const objects = fillInExamples(await readExamples(examples), {
    'Secret/shop-db': { 'stringData/username': backupUser.name, 'stringData/password': backupUser.password },
    'Secret/shop-admin': { 'stringData/username': restoreUser.name, 'stringData/password': restoreUser.password },
    'Secret/shop-db-ca': { 'stringData/ca.crt': ca },
    'Secret/bucket': { 'stringData/accessKeyId': s3.accessKeyId, 'stringData/secretAccessKey': s3.secretAccessKey },
    'Secret/sftp-login': { 'stringData/username': sshd.username, 'stringData/privateKey': sshd.privateKey },
    'BackupLocation/bucket': { 'spec.s3.bucket': bucket, 'spec.s3.endpoint': s3.endpoint },
    'BackupLocation/sftp': {
      'spec.sftp.host': sshd.host,
      'spec.sftp.port': sshd.port,
      'spec.sftp.path': sftpFolder,
      'spec.sftp.hostKeys': sshd.hostKeys,
    },
    // Without Kubernetes there is no volume claim: the path says it all.
    'BackupLocation/disk': { 'spec.directory.claimName': undefined, 'spec.directory.path': disk },
    'BackupPolicy/three-places': {
      'spec.source.postgres.host': postgres.host,
      'spec.source.postgres.port': postgres.port,
    },
  });
  await writeFile(file, objects, { mode: 0o600 });
}

/** Writes the example of a RestoreRequest: the newest backup of the policy above, back to where it came from. */
export async function writeRestore(file: string, { postgres }: Servers): Promise<void> {
  const request = fillInExamples(await readExamples(['restore-replace']), {
    'RestoreRequest/shop-back': {
      'spec.source.policy.name': 'three-places',
      'spec.target.postgres.host': postgres.host,
      'spec.target.postgres.port': postgres.port,
    },
  });
  await writeFile(file, request, { mode: 0o600 });
}

async function readExamples(names: readonly string[]): Promise<readonly string[]> {
  const folder = new URL('../../manifests/examples/', import.meta.url);
  return Promise.all(names.map(async (name) => readFile(new URL(`${name}.yaml`, folder), 'utf8')));
}
