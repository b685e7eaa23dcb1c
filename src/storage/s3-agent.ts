import { X509Certificate } from 'node:crypto';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent, type AgentOptions, type RequestOptions } from 'node:https';
import type { Duplex } from 'node:stream';
import { getCACertificates } from 'node:tls';
import { Failure } from '../api/failure.ts';
import type { ProxySettings } from './place.ts';
import { spellNoProxy } from './spell-no-proxy.ts';

export interface AgentSettings {
  readonly endpoint?: string | undefined;
  /** PEM. */
  readonly ca?: string | undefined;
  readonly proxy?: ProxySettings | undefined;
  /** Whose they are, in messages. */
  readonly of?: 's3' | 'kms';
}

export interface Agents {
  readonly httpAgent: HttpAgent;
  readonly httpsAgent: HttpsAgent;
}

/** The connections of a storage, kept open between requests. @throws Failure SecretInvalid, StorageConfigInvalid */
export function makeAgents({ endpoint, ca, proxy, of = 's3' }: AgentSettings): Agents {
  const authorities = ca === undefined ? undefined : readAuthorities(ca, of);
  const host = endpoint === undefined ? undefined : new URL(endpoint).hostname;
  const options = {
    keepAlive: true,
    maxSockets: 50,
    ...(proxy === undefined ? {} : { proxyEnv: { ...proxy, NO_PROXY: spellNoProxy(proxy.NO_PROXY ?? '') } }),
  };
  try {
    return {
      httpAgent: new HttpAgent(options),
      httpsAgent: authorities === undefined ? new HttpsAgent(options) : new OwnAuthorities(options, authorities, host),
    };
  } catch (error) {
    // Its message would tell the proxy's password.
    throw new Failure('StorageConfigInvalid', 'the address of the HTTP proxy cannot be read', {
      hint: 'give HTTPS_PROXY (HTTP_PROXY for an http endpoint) as http://host:port',
      cause: error instanceof Error && 'code' in error ? error.code : undefined,
    });
  }
}

/**
 * Own authorities stand for the endpoint alone: there they replace the public ones. The requests for the pod's own identity (STS) go to
 * other hosts over the same agent; those, and every host when there is no endpoint, may have a certificate of either.
 */
class OwnAuthorities extends HttpsAgent {
  readonly #authorities: readonly string[];
  readonly #host: string | undefined;

  constructor(options: AgentOptions, authorities: readonly string[], host: string | undefined) {
    super(options);
    this.#authorities = authorities;
    this.#host = host;
  }

  override createConnection(
    options: RequestOptions,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): Duplex | null | undefined {
    const host = options.host ?? '';
    const atEndpoint = this.#host !== undefined && (host === this.#host || host.endsWith(`.${this.#host}`));
    const ca = atEndpoint ? this.#authorities : [...getCACertificates('default'), ...this.#authorities];
    return super.createConnection({ ...options, ca: [...ca] }, callback);
  }
}

/** @throws Failure SecretInvalid when there is no certificate, or one that cannot be read */
function readAuthorities(ca: string, of: string): readonly string[] {
  const found =
    ca.match(/-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]+-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g) ?? [];
  const hint = 'put the certificate of the authority there in PEM form: -----BEGIN CERTIFICATE----- …';
  if (found.length === 0)
    throw new Failure('SecretInvalid', `the key for ${of}.ca holds no certificate in PEM form`, { hint });
  for (const [index, pem] of found.entries()) {
    try {
      void new X509Certificate(pem);
    } catch (error) {
      throw new Failure('SecretInvalid', `certificate ${index + 1} of ${of}.ca cannot be read`, { hint, cause: error });
    }
  }
  return found;
}
