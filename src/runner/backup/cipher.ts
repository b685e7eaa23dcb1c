import type { ArtifactName } from '../../domain/layout.ts';
import type { Stage } from '../../pipeline/bytes.ts';

/** What encrypts the artifacts of one run. */
export interface Cipher {
  /** Where its key lies, wrapped for the recipients. */
  readonly key: string;
  readonly sealed: Uint8Array;
  readonly recipients: readonly string[];
  readonly encrypt: (name: ArtifactName) => Stage;
}
