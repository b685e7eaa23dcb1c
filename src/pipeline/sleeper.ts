/** The part of support's Clock that a pipe needs. */
export interface Sleeper {
  /** Resolves after `ms`; rejects on abort. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}
