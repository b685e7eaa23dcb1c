import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { attemptOf } from '../../src/domain/attempt.ts';
import { findFreePort } from '../servers/free-port.ts';
import { type DatedPlaces, datedKinds, startDatedPlaces } from './dated-places.ts';
import { attempts, backupTaskOf, podUids, runWith } from './run-with.ts';
import { required } from './stand.ts';

// A try was killed; the next one fails, too. What the first one left goes all the same, and nothing that may be of somebody who lives.
let places: DatedPlaces;
beforeAll(async () => {
  places = await startDatedPlaces(process.env['VERSITYGW']);
});
afterAll(() => places?.stop());

const folder = 'shop/nightly/nightly-20260101t030000z';
/** Of a Backup with the same name in another cluster. */
const stranger = attemptOf(podUids.first, 'uid-in-another-cluster') ?? '';

describe.each(datedKinds)('A retry that fails at %s', (kind) => {
  test.for([false, true])('clears what the try before it left, AppendOnly: %s', async (appendOnly, { skip }) => {
    skip(places.lacks(kind) !== undefined, places.lacks(kind));
    const place = await places.make(kind);
    const others = [
      await place.lay(`${folder}/${stranger}/alpha.dump.zst`, 0),
      await place.begin(`${folder}/${stranger}/beta.dump.zst`, 0),
      await place.lay(`${folder}/${attempts.first}/notes.txt`, 0),
      await place.lay(`shop/nightly/another/${attempts.first}/alpha.dump.zst`, 0),
    ];
    const volumes = [
      await place.lay(`${folder}/${attempts.first}/alpha.dump.zst`, 0),
      await place.lay(`${folder}/${attempts.first}/alpha.dump.zst.0002`, 0),
    ];
    const unfinished = await place.begin(`${folder}/${attempts.first}/beta.dump.zst`, 0);
    // Nothing listens there.
    const task = backupTaskOf(
      { host: '127.0.0.1', port: await findFreePort() },
      { destinations: required({ ...place.location, ...(appendOnly ? { appendOnly } : {}) }), waitForServerSeconds: 0 },
    );
    const secrets = { ...places.secrets, pg: { username: 'nobody', password: 'none' } };
    const ended = await runWith(places.folder, task, secrets, [], { podUid: podUids.second });
    expect(ended.verdict).toMatchObject({ verdict: 'Failed', reason: 'ServerUnreachable' });
    // An upload is no object: it is aborted where nothing may be deleted, too.
    const isFile = kind === 'a server of SFTP';
    const stays = appendOnly ? [...volumes, ...(isFile ? [unfinished] : [])] : [];
    expect(await place.left()).toEqual([...others, ...stays].toSorted());
  });
});
