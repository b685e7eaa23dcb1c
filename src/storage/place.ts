import type { Clock, Random } from '../support/clock.ts';

/** Where a storage is: no secrets here. Exactly one member is set. */
export interface Place {
  readonly s3?: S3Place;
  readonly sftp?: SftpPlace;
  readonly directory?: DirectoryPlace;
}

export interface S3Place {
  readonly bucket: string;
  /** Everything is stored below it; no slashes at its ends. */
  readonly prefix?: string;
  readonly region?: string;
  /** URL of a provider that is not AWS. */
  readonly endpoint?: string;
  readonly forcePathStyle?: boolean;
  readonly storageClass?: string;
  readonly serverSideEncryption?: {
    readonly algorithm: 'AES256' | 'aws:kms' | 'aws:kms:dsse';
    readonly kmsKeyId?: string;
  };
}

export interface SftpPlace {
  readonly host: string;
  readonly port?: number;
  /** Folder; relative to the login folder unless it starts with a slash. */
  readonly path: string;
  /** Lines of known_hosts or ssh-keyscan, public keys, or `SHA256:…` fingerprints; at least one. */
  readonly hostKeys: readonly string[];
}

export interface DirectoryPlace {
  readonly path: string;
}

/** What the place's Secrets held. Which members matter depends on the kind of place. */
export interface Credentials {
  /** Reads the Secrets again: what they hold may have been renewed since. */
  readonly renew?: (signal: AbortSignal) => Promise<Credentials>;
  /** S3; without them the process's own identity is used. */
  readonly accessKeyId?: string;
  readonly secretAccessKey?: string;
  readonly sessionToken?: string;
  /** S3: certificate authorities (PEM) of the endpoint. */
  readonly ca?: string;
  /** SFTP. */
  readonly username?: string;
  readonly password?: string;
  readonly privateKey?: string;
  readonly passphrase?: string;
}

/** As the environment has it: URLs of the proxies for http and for https endpoints, which may hold a password, and hosts reached without one. */
export type ProxySettings = Readonly<Partial<Record<'HTTP_PROXY' | 'HTTPS_PROXY' | 'NO_PROXY', string>>>;

/** What every driver is handed from outside. */
export interface StorageTools {
  readonly clock: Clock;
  readonly random: Random;
  /** How long a place may go on saying that it has too much to do; default four minutes. */
  readonly throttledMs?: number;
  /** S3: of the environment. */
  readonly proxy?: ProxySettings;
}
