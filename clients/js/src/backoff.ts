// When to dial again: a pure function of the failures in a row and a random number.

/** Exponential backoff with full jitter. */
export interface BackoffOptions {
  /** Milliseconds. The upper end of the first delay. Default 500. */
  readonly baseMs?: number;
  /** Milliseconds. The upper end of all delays. Default 30 000. */
  readonly maxMs?: number;
  /**
   * Milliseconds. A connection that lived shorter than this counts as one more failure, so that a server which accepts
   * and hangs up isn't hammered. Default 10 000.
   */
  readonly minUptimeMs?: number;
}

export const BACKOFF_DEFAULTS: Required<BackoffOptions> = { baseMs: 500, maxMs: 30_000, minUptimeMs: 10_000 };

/**
 * How long to wait before the attempt after `failures` failures in a row (0 for the first): a random time between zero
 * and `baseMs × 2^failures`, at most `maxMs`, so that the clients of a dead server don't come back all at once.
 * `random` is uniform in [0, 1).
 */
export function delayMs(backoff: Required<BackoffOptions>, failures: number, random: number): number {
  // 2^1023 is the largest power there is; infinity is fine, the maximum is smaller.
  return random * Math.min(backoff.maxMs, backoff.baseMs * 2 ** failures);
}
