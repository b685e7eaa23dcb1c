/**
 * Environment of every runner. Bytes pass in buffers of 1 MiB: a small young generation and a fixed threshold for mapped memory
 * give them back at once, so that memory stays flat (docs/performance.md).
 */
export const runnerEnvironment = { NODE_OPTIONS: '--max-semi-space-size=2', MALLOC_MMAP_THRESHOLD_: '262144' } as const;

/** What a runner reads of `runner.proxy`. */
export function proxyEnvironment(
  proxy: {
    readonly httpProxy?: string | undefined;
    readonly httpsProxy?: string | undefined;
    readonly noProxy?: string | undefined;
  } = {},
): Readonly<Record<string, string>> {
  const { httpProxy, httpsProxy, noProxy } = proxy;
  return {
    ...(httpProxy === undefined ? {} : { HTTP_PROXY: httpProxy }),
    ...(httpsProxy === undefined ? {} : { HTTPS_PROXY: httpsProxy }),
    ...(noProxy === undefined ? {} : { NO_PROXY: noProxy }),
  };
}
