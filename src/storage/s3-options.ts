import type { ProxySettings, S3Place } from './place.ts';

export interface S3Options extends Omit<S3Place, 'prefix'> {
  /** Certificate authorities (PEM) that the endpoint's certificate is checked against, instead of the public ones. */
  readonly ca?: string;
  /** Without them the SDK's default chain looks for the process's own identity, at the first request. */
  readonly credentials?: S3Credentials;
  /** Reads them again where they came from, for when the store refuses them: they may have been renewed meanwhile. */
  readonly renew?: (signal: AbortSignal) => Promise<S3Credentials | undefined>;
  readonly proxy?: ProxySettings;
  /** Parts of 8 MiB that are sent at the same time by one put; default 3. One more is being filled. */
  readonly partsInFlight?: number;
  /** How long a connection may say nothing at all; default two minutes (completing large uploads takes a while on some servers). */
  readonly idleTimeoutMs?: number;
  readonly connectTimeoutMs?: number;
}

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}
