// The delay before the next attempt: a pure function of the failures in a row and a random number.

/** Exponential backoff with full jitter. */
export interface BackoffOptions {
  /** Milliseconds. The upper limit of the first delay. Default 500. */
  readonly baseMs?: number;
  /** Milliseconds. The upper limit of every delay. Default 30 000. */
  readonly maxMs?: number;
  /**
   * Milliseconds. A connection that was open for less than this counts as one more failure, so that clients back off from
   * a server that accepts connections and closes them at once. Default 10 000.
   */
  readonly minUptimeMs?: number;
}

export const BACKOFF_DEFAULTS: Required<BackoffOptions> = { baseMs: 500, maxMs: 30_000, minUptimeMs: 10_000 };

/**
 * Returns the milliseconds to wait before the attempt that follows `failures` failures in a row: a random time between
 * zero and `baseMs × 2^failures`, at most `maxMs`. The randomness keeps the clients of a restarted server from coming
 * back all at once. `random` is uniform in [0, 1).
 */
export function delayMs(backoff: Required<BackoffOptions>, failures: number, random: number): number {
  // Beyond 2^1023 the power is Infinity, and `maxMs` is the smaller of the two.
  return random * Math.min(backoff.maxMs, backoff.baseMs * 2 ** failures);
}
