import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { InspectTask } from '../../src/domain/task.ts';
import { inspectLocation } from '../../src/runner/inspect/inspect-location.ts';
import { openStorage } from '../../src/storage/open.ts';
import { systemClock, systemRandom } from '../../src/support/clock.ts';
import { workshopOf } from '../runner/workshop-of.ts';
import { startProgram } from '../servers/program.ts';
import { providers, type S3Manners } from '../servers/s3-manners.ts';
import { startS3Provider } from '../servers/s3-provider.ts';
import { type S3Server, startS3 } from '../servers/s3.ts';
import { makeTemporaryFolder } from '../servers/temporary-folder.ts';
import { foreignPrograms, whyMissing } from './programs.ts';

let folder: Awaited<ReturnType<typeof makeTemporaryFolder>>;
let server: S3Server;
let attempts = 0;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
  server = await startS3({ dir: join(folder.path, 'server'), versitygw: process.env['VERSITYGW'] });
  await server.createBucket('backups');
});
afterAll(async () => {
  await server.stop();
  await folder.remove();
});

async function probe(endpoint: string, changes: Partial<InspectTask> = {}) {
  const place = { s3: { bucket: 'backups', endpoint, forcePathStyle: true, prefix: 'pg' } };
  const { accessKeyId, secretAccessKey } = server;
  const tools = { clock: systemClock, random: systemRandom };
  const storage = await openStorage(place, { accessKeyId, secretAccessKey }, tools);
  const task: InspectTask = {
    version: 1,
    kind: 'inspect',
    namespace: 'shop',
    location: { name: 'place', place },
    accessMode: 'ReadWrite',
    inspector: '5eed5eed',
    probe: true,
    fullPart: true,
    pageSize: 1000,
    waitForSecretSeconds: 1,
    ...changes,
  };
  // As each pod has one: what an earlier probe could not delete is none of the next one's business.
  attempts += 1;
  const attempt = attempts.toString(16).padStart(8, '0');
  return await inspectLocation(task, workshopOf({ place: storage }, { attempt }));
}

describe('The probe at a provider', () => {
  test.for(Object.entries<S3Manners>(providers))('passes with the manners of %s', async ([, manners]) => {
    const provider = await startS3Provider(server, manners);
    const verdict = await probe(provider.endpoint);
    await provider.stop();
    expect(verdict.message).toBeUndefined();
    expect(verdict).toMatchObject({ verdict: 'Succeeded', fullPart: true });
  });

  test.for([
    ['multipart', 'refuses the completion of uploads', { unknown: ['complete'] }],
    ['multipart', 'refuses parts', { unknown: ['part'] }],
    ['put', 'refuses every put', { unknown: ['put'] }],
    ['delete', 'refuses deletes', { unknown: ['delete'] }],
  ] as const)('fails at %s where the store %s', async ([operation, , manners]) => {
    const provider = await startS3Provider(server, manners);
    const verdict = await probe(provider.endpoint);
    await provider.stop();
    expect(verdict).toMatchObject({ verdict: 'Failed', failedOperation: operation, reason: 'StorageConfigInvalid' });
  });
});

const noNginx = whyMissing('nginx');
describe.skipIf(noNginx !== undefined)(`The probe behind nginx (${noNginx ?? 'from Debian'})`, () => {
  /** nginx as Debian has it before the store, with further lines in its location. */
  async function behindNginx(lines: readonly string[]) {
    const dir = join(folder.path, `nginx-${lines.length}`);
    await mkdir(dir);
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
      (kind) => `${kind}_temp_path ${join(dir, kind)};`,
    );
    const program = await startProgram({
      command: '/bin/sh',
      args: (port) => [
        '-c',
        `cat >${dir}/conf <<'END'\n${[
          `daemon off; pid ${dir}/pid; error_log ${dir}/error.log; worker_processes 1; user root;`,
          'events {}',
          `http { access_log off; ${temporary.join(' ')}`,
          `server { listen 127.0.0.1:${port}; location / { proxy_pass ${server.endpoint}; ${lines.join(' ')} } } }`,
        ].join('\n')}\nEND\nexec ${foreignPrograms.nginx} -p ${dir} -c ${dir}/conf -e ${dir}/error.log`,
      ],
    });
    const verdict = await probe(`http://127.0.0.1:${program.port}`);
    await program.stop();
    return { ...verdict, text: `${verdict.message ?? ''}; ${verdict.hint ?? ''}` };
  }

  const host = 'proxy_set_header Host $http_host;';
  const body = 'client_max_body_size 16m;';

  test('with its default settings says that the Host header must be passed on', async () => {
    const ended = await behindNginx([]);
    expect(ended).toMatchObject({ verdict: 'Failed' });
    expect(ended.text).toContain('proxy_set_header Host $http_host');
  });

  test('with its default limit of bodies says what limit to set', async () => {
    const ended = await behindNginx([host]);
    expect(ended).toMatchObject({ verdict: 'Failed', reason: 'StorageConfigInvalid', failedOperation: 'multipart' });
    expect(ended.text).toContain('413');
    expect(ended.text).toContain('client_max_body_size');
  });

  test('passes when both were set as it said', async () => {
    expect(await behindNginx([host, body])).toMatchObject({ verdict: 'Succeeded', fullPart: true });
  });
});
