/** All that one gateway has open: looked at for time limits, judged again, and closed together. */
import type { Clock } from '../base/clock.ts';
import type { Policy } from '../policy/policy.ts';

export interface Standing {
  /** Time limits, and rules that have ended meanwhile. `now` is wall time, both in milliseconds. */
  check(now: number, monotonic: number): void;
  /** What this policy would refuse is reset. */
  rejudge(policy: Policy): void;
  /** Nothing new is begun; what is under way comes to its end. */
  drain?(): void;
  /** At once. */
  close(): void;
}

/** Milliseconds between looks at time limits. */
const CHECK = 500;

export class AllStanding {
  #all = new Set<Standing>();
  #checking: Timer | null = null;
  #emptied = () => {};
  #isDraining = false;

  constructor(
    private readonly clock: Clock,
    private readonly onBug: (bug: unknown) => void,
  ) {}

  get size(): number {
    return this.#all.size;
  }

  add(one: Standing): void {
    this.#all.add(one);
    this.#checking ??= setInterval(() => this.#check(), CHECK);
  }

  /** Safe to call again. */
  delete(one: Standing): void {
    if (this.#all.delete(one) && this.#all.size === 0) this.#emptied();
  }

  rejudge(policy: Policy): void {
    this.#each((one) => one.rejudge(policy));
  }

  /** Whatever is still there after so many milliseconds is closed. */
  async close(within: number): Promise<void> {
    this.#isDraining = true;
    let isLate = false;
    const late = setTimeout(() => {
      isLate = true;
      this.#emptied();
    }, within);
    this.#each((one) => one.drain?.());
    // A client that has said what it wants goes, and comes again as something else.
    while (this.#all.size > 0 && !isLate)
      await new Promise<void>((resolve) => {
        this.#emptied = resolve;
      });
    clearTimeout(late);
    this.#each((one) => one.close());
    if (this.#checking !== null) clearInterval(this.#checking);
    this.#checking = null;
  }

  #check(): void {
    const now = this.clock.now();
    const monotonic = this.clock.monotonic();
    this.#each((one) => one.check(now, monotonic));
    // Who came to it since is told now.
    if (this.#isDraining) this.#each((one) => one.drain?.());
    if (this.#all.size > 0 || this.#checking === null) return;
    clearInterval(this.#checking);
    this.#checking = null;
  }

  /** One bug in one connection must not keep the others from their turn. */
  #each(visit: (one: Standing) => void): void {
    for (const one of this.#all) {
      try {
        visit(one);
      } catch (bug) {
        this.onBug(bug);
        one.close();
      }
    }
  }
}
