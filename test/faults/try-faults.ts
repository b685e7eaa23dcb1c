import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { FaultCase } from './fault-case.ts';
import { sftpServerProgram, startFaultStand, type FaultStand } from './fault-stand.ts';
import type { SharedServer } from './share-server.ts';
import { runCase, type CaseOutcome } from './run-case.ts';
import { makeEarlier, type EarlierBackup } from './seed-earlier.ts';

/** What the report at the end of a run is told of a case. */
export interface FaultMeta extends Partial<CaseOutcome> {
  readonly room: string;
  readonly name: string;
}

declare module 'vitest' {
  interface TaskMeta {
    fault?: FaultMeta;
  }
}

const versitygw = process.env['VERSITYGW'];

/** One test per case, several at a time, on servers of this file's own but for PostgreSQL. */
export function tryFaults(cases: readonly FaultCase[], over: 'plain' | 'tls' = 'plain'): void {
  const shared = inject(over === 'tls' ? 'faultsTlsServer' : 'faultsServer');
  const whyNot = (one: FaultCase) => whyNotOn(one, shared);
  describe('a whole run that meets a fault', () => {
    let stand: FaultStand;
    let earlier: EarlierBackup;

    beforeAll(async () => {
      if (shared === undefined || cases.every((one) => whyNot(one) !== undefined)) return;
      stand = await startFaultStand(shared, versitygw);
      earlier = await makeEarlier(stand);
    });
    afterAll(async () => stand?.stop());

    for (const faultCase of cases) {
      const { name, room } = faultCase;
      const title = over === 'tls' ? `${name}, over TLS` : name;
      test.concurrent(`${room}: ${title}`, { timeout: 600_000 }, async (context) => {
        const reason = whyNot(faultCase);
        if (reason !== undefined) context.skip(reason);
        const { meta } = context.task;
        meta.fault = { room, name: title };
        const outcome = await runCase(stand, faultCase, earlier);
        meta.fault = { room, name: title, ...outcome };
        expect(outcome.differingBytes, 'bytes under a committed manifest that differ').toBe(0);
      });
    }
  });
}

/** Why a case cannot be tried on this machine. */
function whyNotOn({ room, needsRoot }: FaultCase, shared: SharedServer | undefined): string | undefined {
  if (shared === undefined) return 'there is no PostgreSQL server on this machine';
  const usesS3 = ['s3', 'fan-out', 'lying', 'pod'].includes(room);
  if (usesS3 && versitygw === undefined) {
    return 'VERSITYGW is not set: a server that checks signatures and sums is needed';
  }
  const usesSftp = ['sftp', 'fan-out', 'lying'].includes(room);
  if (usesSftp && !existsSync(sftpServerProgram)) return `there is no ${sftpServerProgram}`;
  if (needsRoot === true && process.getuid?.() !== 0) return 'only root may mount a file system';
  return undefined;
}
