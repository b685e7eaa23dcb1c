import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { RestoreRequest } from '../../src/api/kinds.ts';
import { resources } from '../../src/controller/resources.ts';
import { asSent, buildRestore } from '../builders/objects.ts';
import { cleanupVerdict, restoreVerdict } from '../builders/verdicts.ts';
import { FakeCluster, running, startController, terminated } from './fake-cluster.ts';
import { addFoundBackup } from './with-found-backup.ts';

const outcome = fc.constantFrom('Restored', 'Untouched', 'Changed');
/** What a runner may have written before it ended with 0: its word, a part of it, that of another, or nothing. */
const word = fc.oneof(
  fc.constant(undefined),
  fc.string({ unit: 'binary' }),
  fc
    .record({ verdict: fc.constantFrom('Succeeded', 'Failed'), target: outcome, unsettled: fc.boolean() })
    .map((said) =>
      JSON.stringify(restoreVerdict({ ...said, ...(said.verdict === 'Failed' && { reason: 'Internal' }) })),
    ),
  fc.nat(200).map((length) => JSON.stringify(restoreVerdict()).slice(0, length)),
);

test('a restore whose runner ended with 0 is never told as untouched, whatever it said and a cleanup found', async () => {
  await fc.assert(
    fc.asyncProperty(word, outcome, fc.constantFrom('Replace', 'InPlace'), async (said, found, mode) => {
      const cluster = new FakeCluster('2026-01-01T12:00:00Z');
      const started = startController(cluster, {});
      try {
        await addFoundBackup(cluster);
        await cluster.create(asSent(buildRestore({ spec: { mode } })));
        await cluster.advance(3000);
        await cluster.makePod('pgrr-again', 'pod-1', running);
        await cluster.advance(1000);
        await cluster.setPodStatus('pod-1', terminated(0, said, cluster.now()));
        await cluster.setJobCondition('pgrr-again', 'Complete', '');
        await cluster.advance(3000);
        if ((await cluster.openJobs('cleanup')).length > 0) {
          await cluster.finishJob('pgrc-again', cleanupVerdict({ target: found }));
          await cluster.advance(3000);
        }
        const { status } = await cluster.get<RestoreRequest>(resources.restoreRequest, 'again');
        const [condition] = status?.conditions ?? [];
        expect(['True', 'False']).toContain(condition?.status);
        expect(condition?.message).not.toContain('the target is as it was');
        expect(status?.databases?.map((database) => database.outcome) ?? []).not.toContain('Untouched');
      } finally {
        await started.stop();
      }
    }),
    { numRuns: 60 },
  );
});
