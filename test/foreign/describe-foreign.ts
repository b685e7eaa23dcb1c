import { describe } from 'vitest';
import { storageConformance } from '../suites/storage-conformance.ts';
import { whyMissing } from './programs.ts';
import { foreignServers, type ForeignServer } from './servers.ts';

/** The conformance suite on every server of a protocol that is here. */
export function describeForeign(protocol: ForeignServer['protocol']): void {
  for (const { name, needs, start, deviations } of foreignServers.filter((server) => server.protocol === protocol)) {
    const missing = needs === undefined ? undefined : whyMissing(needs);
    describe.skipIf(missing !== undefined)(missing ?? 'from elsewhere', () => {
      storageConformance(name, start, { deviations });
    });
  }
}
