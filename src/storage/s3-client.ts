import { isIP } from 'node:net';
import { S3Client } from '@aws-sdk/client-s3';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { Failure } from '../api/failure.ts';
import { abortFailure, throwIfAborted, withinTime } from './abortable.ts';
import type { StorageTools } from './place.ts';
import { makeAgents } from './s3-agent.ts';
import { checkAnswer } from './s3-answer.ts';
import { s3ProblemOf, toS3Failure } from './s3-errors.ts';
import type { S3Credentials, S3Options } from './s3-options.ts';

/** Makes one request. Every error is a Failure; `what` begins its message. */
export type Ask = <T>(
  what: string,
  request: (client: S3Client, abort: { abortSignal: AbortSignal }) => Promise<T>,
  signal: AbortSignal,
) => Promise<T>;

export interface S3Connection {
  readonly ask: Ask;
  readonly close: () => void;
}

/** For one request until its answer begins, and to the end of answers that are no object: a part of 8 MiB at 10 KB/s. */
const longestRequestMs = 15 * 60_000;
/** Signatures may be 15 minutes off on S3. */
const noticedSkewMs = 5 * 60_000;

/**
 * The SDK with what it lacks: answers that are looked at before they are read, credentials that are read again when they have run out,
 * a clock that follows the server's, and an end to every request.
 */
export function connectS3(options: S3Options, tools: StorageTools): S3Connection {
  const { clock } = tools;
  const { ca, endpoint, proxy } = options;
  const agents = makeAgents({ endpoint, ca, proxy });
  const requestHandler = new NodeHttpHandler({
    connectionTimeout: options.connectTimeoutMs ?? 10_000,
    socketTimeout: options.idleTimeoutMs ?? 120_000,
    ...agents,
  });
  const pathStyle = options.forcePathStyle === true || hasAddress(endpoint);
  const facts = {
    bucket: options.bucket,
    endpoint,
    virtualHost: !pathStyle && !(options.bucket.includes('.') && endpoint?.startsWith('https:')),
  };
  let credentials = options.credentials;
  let client = makeClient(credentials);

  function makeClient(keys: S3Credentials | undefined): S3Client {
    const made = new S3Client({
      region: options.region ?? 'us-east-1',
      ...(endpoint === undefined ? {} : { endpoint: endpoint.replace(/\/+$/, '') }),
      // A copy: the SDK writes into it.
      ...(keys === undefined ? {} : { credentials: { ...keys } }),
      forcePathStyle: pathStyle,
      // Repeating is ours: with our clock, our abort, and only where the body can be sent again.
      maxAttempts: 1,
      // The driver sends CRC32 itself (the SDK's other sums are JavaScript); what is read is checked against the manifest.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      // The SDK would send the header and not wait for the answer to it; servers and proxies that do not know it refuse the request.
      expectContinueHeader: false,
      requestHandler,
    });
    made.middlewareStack.add(
      (next, context) => async (args) => {
        const result = await next(args);
        const { commandName } = context;
        await checkAnswer(result.response, typeof commandName === 'string' ? commandName : '', clock.nowMs());
        return result;
      },
      // Next to the network: before anything of the SDK looks at the answer.
      { step: 'deserialize', priority: 'low', name: 'checkAnswer' },
    );
    return made;
  }

  async function once<T>(used: S3Client, what: string, request: Parameters<Ask>[1], signal: AbortSignal): Promise<T> {
    throwIfAborted(signal);
    let late: AbortSignal | undefined;
    try {
      return await withinTime(clock, longestRequestMs, async (limit) => {
        late = limit;
        return (await request(used, { abortSignal: AbortSignal.any([signal, limit]) })) as T;
      });
    } catch (error) {
      if (signal.aborted) throw abortFailure(signal);
      if (late?.aborted === true) throw abortFailure(late);
      throw toS3Failure(error, what, facts);
    }
  }

  /** Whether the same request may go well now. */
  async function mend(failure: unknown, used: S3Client, signal: AbortSignal): Promise<boolean> {
    const problem = s3ProblemOf(failure);
    if (problem === undefined) return false;
    const { code, status, serverTimeMs } = problem;
    // Answers to HEAD have no code.
    const unsaid = code === '' && [400, 401, 403].includes(status);
    if (serverTimeMs !== undefined && (unsaid || code === 'RequestTimeTooSkewed')) {
      const offset = serverTimeMs - clock.nowMs();
      if (Math.abs(offset - client.config.systemClockOffset) > noticedSkewMs) {
        client.config.systemClockOffset = offset;
        return true;
      }
    }
    const refused = failure instanceof Failure && failure.reason === 'StorageCredentialsInvalid';
    if (!refused && !unsaid) return false;
    if (used !== client) return true;
    const fresh = await readAgain(options, signal);
    if (fresh === undefined || JSON.stringify(fresh) === JSON.stringify(credentials)) return false;
    credentials = fresh;
    const offset = client.config.systemClockOffset;
    client = makeClient(fresh);
    client.config.systemClockOffset = offset;
    return true;
  }

  return {
    ask: async (what, request, signal) => {
      const used = client;
      try {
        return await once(used, what, request, signal);
      } catch (failure) {
        if (signal.aborted || !(await mend(failure, used, signal))) throw failure;
        return await once(client, what, request, signal);
      }
    },
    close: () => client.destroy(),
  };
}

/** Undefined where they cannot be read again: what they were refused with is the failure to tell. */
async function readAgain({ renew }: S3Options, signal: AbortSignal): Promise<S3Credentials | undefined> {
  try {
    return await renew?.(signal);
  } catch {
    return undefined;
  }
}

/** A bucket cannot be put before an address. */
function hasAddress(endpoint: string | undefined): boolean {
  return endpoint !== undefined && isIP(new URL(endpoint).hostname.replace(/^\[|\]$/g, '')) !== 0;
}
