import type { Agent as HttpAgent } from 'node:http';
import type { Agent as HttpsAgent } from 'node:https';

/** A way to AWS KMS, or to what speaks like it. */
export interface KmsAccess {
  /** Of identities: only keys of this region are asked for. */
  readonly region?: string;
  /** Without it that of AWS for the region of the key. */
  readonly endpoint?: string;
  /** Without them the SDK's default chain looks for the process's own identity. */
  readonly credentials?: KmsCredentials;
  /** Own authorities and proxies are theirs. */
  readonly agents: { readonly httpAgent: HttpAgent; readonly httpsAgent: HttpsAgent };
  /** Ends what takes too long: the signal aborts, and it rejects at once with a Failure. */
  readonly limit: <T>(work: (signal: AbortSignal) => Promise<T>) => Promise<T>;
}

export interface KmsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

const keyArn = /^arn:aws[a-z-]{0,20}:kms:([a-z0-9-]{1,32}):\d{12}:key\/[A-Za-z0-9-]{1,128}$/;

/** The region of a key by its ARN; undefined where it is none (an alias has none of a key either). */
export function regionOfKey(arn: string): string | undefined {
  return keyArn.exec(arn)?.[1];
}
