import { mkdtemp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseVerdict } from '../../src/domain/report.ts';
import { proxyEnvironment } from '../../src/domain/runner-environment.ts';
import type { InspectTask } from '../../src/domain/task.ts';
import { type ScriptedS3, startScriptedS3 } from '../servers/scripted-s3.ts';
import { makeTemporaryFolder } from '../servers/temporary-folder.ts';
import { layRoot, podUids } from './run-with.ts';
import { startRunner } from './runner-process.ts';

let folder: Awaited<ReturnType<typeof makeTemporaryFolder>>;
let server: ScriptedS3;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
  server = await startScriptedS3();
});
afterAll(async () => {
  await server.stop();
  await folder.remove();
});

const keys = { accessKeyId: 'accessKeyId', secretAccessKey: 'secretAccessKey', sessionToken: 'sessionToken' };
const task: InspectTask = {
  version: 1,
  kind: 'inspect',
  namespace: 'ns',
  location: {
    name: 'far',
    place: {
      s3: {
        bucket: 'bucket',
        endpoint: 'http://s3.example.invalid',
        forcePathStyle: true,
        credentials: { secretName: 's3', keys },
      },
    },
  },
  accessMode: 'ReadOnly',
  inspector: '0123abcd',
  probe: true,
  fullPart: false,
  pageSize: 10,
  waitForSecretSeconds: 1,
};

async function inspect(env: Readonly<Record<string, string>>) {
  const root = await mkdtemp(join(folder.path, 'root-'));
  await layRoot(root, task, { s3: { accessKeyId: 'a', secretAccessKey: 'very-secret' } }, podUids.first);
  const runner = startRunner(root, [], env);
  const code = await runner.ended;
  return {
    code,
    output: runner.output(),
    verdict: parseVerdict(await readFile(join(root, 'termination-message'), 'utf8')),
  };
}

test('a runner reaches S3 through the proxy of its environment, and only so', async () => {
  const { code } = await inspect(proxyEnvironment({ httpProxy: server.endpoint, noProxy: 'localhost' }));
  expect(code).toBe(0);
  expect(server.requests.length).toBeGreaterThan(0);
  expect(new Set(server.requests.map(({ headers }) => headers.host))).toEqual(new Set(['s3.example.invalid']));
  const before = server.requests.length;
  const without = await inspect(proxyEnvironment({ httpProxy: server.endpoint, noProxy: '.example.invalid' }));
  expect(without).toMatchObject({ code: 75, verdict: { reason: 'StorageUnreachable' } });
  expect(server.requests.length).toBe(before);
});

test('the password of a proxy is in no message', async () => {
  const { output, verdict } = await inspect({ http_proxy: 'http://user:pr0xy-w0rd@127.0.0.1:1' });
  expect(verdict).toMatchObject({ reason: 'StorageUnreachable' });
  expect(output + JSON.stringify(verdict)).not.toContain('pr0xy-w0rd');
});
