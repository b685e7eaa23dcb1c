import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type ScriptedS3, startScriptedS3 } from '../servers/scripted-s3.ts';
import { startLocalStand, type LocalStand } from './local-stand.ts';

let stand: LocalStand;
let store: ScriptedS3;
beforeAll(async () => {
  stand = await startLocalStand();
});
afterAll(() => stand.stop());
beforeEach(async () => {
  store = await startScriptedS3();
  return () => store.stop();
});

/** A bucket that only a proxy knows the way to: the store itself plays it. */
function yaml(runner: string): string {
  const [secret = '', , policy = ''] = stand.yaml(runner).split('---\n');
  const keys = 'metadata: { name: s3 }\nstringData: { accessKeyId: a, secretAccessKey: very-secret }\n';
  const s3 =
    '{ bucket: bucket, endpoint: "http://s3.example.invalid", credentials: { secretName: s3 }, forcePathStyle: true }';
  const location = `apiVersion: pgbackup.dev/v1beta1\nkind: BackupLocation\nmetadata: { name: disk }\nspec:\n  s3: ${s3}\n${runner}`;
  return [secret, `apiVersion: v1\nkind: Secret\n${keys}`, location, policy].join('---\n');
}

const dead = 'http://127.0.0.1:1';

test.for([
  ['the proxy of the environment', true, false],
  ['runner.proxy, before the environment', false, true],
] as const)('runners of pgbackup local take %s', async ([, inEnvironment, inObject]) => {
  const runner = inObject ? `  runner: { proxy: { httpProxy: "${store.endpoint}" } }\n` : '';
  const command = stand.start(['local', '-', '--once', '--state-dir', stand.stateDir], yaml(runner), {
    HTTP_PROXY: inEnvironment ? store.endpoint : dead,
  });
  expect(await command.exitCode, command.stdout() + command.stderr()).toBe(0);
  expect([...store.objects.keys()].filter((key) => key.endsWith('/manifest.json'))).toHaveLength(1);
  expect(new Set(store.requests.map(({ headers }) => headers.host))).toEqual(new Set(['s3.example.invalid']));
});
