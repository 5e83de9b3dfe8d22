/**
 * Whether a message was really tried for a while. Its age alone does not tell: a machine may have slept, or stood
 * without a gateway, and a clock may have been set. So attempts are counted where nothing of that lies between them.
 */
import type { Clock } from '../../base/clock.ts';

const LEAST = 3;
/** Milliseconds from the first of them to the last. */
const SPREAD = 600_000;
/** Milliseconds by which the two clocks part where nothing happened but that one is corrected. */
const SLACK = 60_000;

export class Tries {
  readonly #clock: Clock;
  readonly #failed = new Map<number, { count: number; since: number; drift: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** One more attempt has failed. Answers whether there were enough. */
  failed(id: number): boolean {
    const since = this.#clock.monotonic();
    const drift = this.#clock.now() - since;
    const known = this.#failed.get(id);
    const isSame = known !== undefined && Math.abs(drift - known.drift) <= SLACK;
    const tries = isSame ? { ...known, count: known.count + 1, drift } : { count: 1, since, drift };
    this.#failed.set(id, tries);
    return tries.count >= LEAST && since - tries.since >= SPREAD;
  }

  forget(id: number): void {
    this.#failed.delete(id);
  }
}
