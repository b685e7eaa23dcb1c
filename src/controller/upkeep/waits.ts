/** How long such work waits before its policy is looked at again, in milliseconds. */
export const waits = {
  /** A Job was made, or there are too many. */
  busy: 10_000,
  /** A pod may say something; a refused Job is asked for again. */
  pod: 60_000,
  /** Something is in the way; a change of the location brings a look by itself. */
  obstacle: 10 * 60_000,
} as const;
