import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseVerdict } from '../../src/domain/report.ts';
import type { InspectTask } from '../../src/domain/task.ts';
import { layRoot, podUids } from '../runner/run-with.ts';
import { startRunner } from '../runner/runner-process.ts';
import { makeAuthority, type Authority } from '../servers/certificates.ts';
import { makeTemporaryFolder } from '../servers/temporary-folder.ts';
import { whyMissing } from './programs.ts';
import { createBucket, startMotoServer } from './start-s3.ts';

// A pod's own identity (AssumeRoleWithWebIdentity) together with an own authority for the store: one agent, two servers over TLS.
const missing = whyMissing('moto');
describe.skipIf(missing !== undefined)(`A runner with the identity of its pod (${missing ?? 'moto'})`, () => {
  type Name = 'public' | 'own' | 'unknown';
  type Server = Awaited<ReturnType<typeof startMotoServer>>;
  let folder: Awaited<ReturnType<typeof makeTemporaryFolder>>;
  let authorities: Record<Name, Authority>;
  let stores: Record<'public' | 'own', Server>;
  let identities: Record<Name, Server>;

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    const authority = (name: Name) => makeAuthority(join(folder.path, name), `${name} authority`);
    authorities = {
      public: await authority('public'),
      own: await authority('own'),
      unknown: await authority('unknown'),
    };
    const start = async (name: Name, host: string) => startMotoServer(await authorities[name].issue({ host }), host);
    // Not one host: what is at the endpoint's has the endpoint's authority.
    stores = { public: await start('public', '127.0.0.1'), own: await start('own', '127.0.0.1') };
    identities = {
      public: await start('public', 'localhost'),
      own: await start('own', 'localhost'),
      unknown: await start('unknown', 'localhost'),
    };
    for (const name of ['public', 'own'] as const) await createBucket(stores[name].door, authorities[name].ca);
    await writeFile(join(folder.path, 'token'), 'a token of the pod');
  });
  afterAll(async () => {
    for (const server of [...Object.values(stores ?? {}), ...Object.values(identities ?? {})]) await server.stop();
    await folder?.remove();
  });

  async function inspect(store: Server, identity: Server, ca: Name | undefined) {
    const root = await mkdtemp(join(folder.path, 'root-'));
    const task: InspectTask = {
      version: 1,
      kind: 'inspect',
      namespace: 'shop',
      location: {
        name: 'cloud',
        place: {
          s3: {
            bucket: 'backups',
            endpoint: store.door.endpoint,
            forcePathStyle: true,
            ...(ca === undefined ? {} : { ca: { secretName: 'ca', keys: { ca: 'ca.crt' } } }),
          },
        },
      },
      accessMode: 'ReadWrite',
      inspector: '5eed5eed',
      probe: true,
      fullPart: false,
      pageSize: 10,
      waitForSecretSeconds: 1,
    };
    await layRoot(root, task, ca === undefined ? {} : { ca: { 'ca.crt': authorities[ca].ca } }, podUids.first);
    const asked = (): number => identity.output().split('POST / ').length;
    const before = asked();
    const runner = startRunner(root, [], {
      // The machine's own authorities, as the image has them.
      NODE_EXTRA_CA_CERTS: authorities.public.caFile,
      AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/backups',
      AWS_WEB_IDENTITY_TOKEN_FILE: join(folder.path, 'token'),
      AWS_REGION: 'us-east-1',
      AWS_ENDPOINT_URL_STS: identity.door.endpoint,
      AWS_EC2_METADATA_DISABLED: 'true',
    });
    const code = await runner.ended;
    const text = await readFile(join(root, 'termination-message'), 'utf8');
    return { code, verdict: parseVerdict(text), output: runner.output(), asked: asked() > before };
  }

  test.each([
    ['an own authority for the store, and STS with a public one', 'own', 'public', 'own'],
    ['an own authority for both', 'own', 'own', 'own'],
    ['no authority of its own', 'public', 'public', undefined],
  ] as const)('uses the store with %s', async (_, store, identity, ca) => {
    const ended = await inspect(stores[store], identities[identity], ca);
    expect(ended.verdict?.message).toBeUndefined();
    expect(ended).toMatchObject({ code: 0, asked: true, verdict: { verdict: 'Succeeded' } });
  });

  test.each([
    ['a store whose authority is public, where another one is given', 'public', 'public', 'own'],
    ['an STS whose authority nobody knows', 'own', 'unknown', 'own'],
  ] as const)('trusts no more than it is told: %s', async (_, store, identity, ca) => {
    const ended = await inspect(stores[store], identities[identity], ca);
    expect(ended.verdict).toMatchObject({ verdict: 'Failed', reason: 'TlsFailed', failedOperation: 'put' });
  });
});
