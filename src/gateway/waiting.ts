/** Clients that nothing was done for yet. Beyond so many, who has waited for longest has to go. */
import { limitsOf, type Policy } from '../policy/policy.ts';
import type { Reason } from '../policy/reason.ts';
import type { AllStanding, Standing } from './standing.ts';

export interface Waiter extends Standing {
  /** `isTold`: why, as far as that can be said, which takes it a while to read. If not, it is gone at once. */
  giveUp(reason: Reason, isTold: boolean): void;
}

const MOST = 4_096;

export class Waiting {
  #all = new Set<Waiter>();
  /** Those that were refused, and have yet to read it and to go. */
  #leaving = new Set<Standing>();

  constructor(
    private readonly standing: AllStanding,
    private readonly policy: () => Policy,
  ) {}

  add(waiter: Waiter): void {
    if (this.#all.size >= Math.min(MOST, limitsOf(this.policy()).connections)) this.#dismissOldest(true);
    this.#all.add(waiter);
    this.standing.add(waiter);
  }

  /** For one more, at once. False where nobody waits. */
  makeRoom(): boolean {
    for (const oldest of this.#leaving) {
      this.#leaving.delete(oldest);
      oldest.close();
      return true;
    }
    return this.#dismissOldest(false);
  }

  #dismissOldest(isTold: boolean): boolean {
    for (const oldest of this.#all) {
      oldest.giveUp('limit-total', isTold);
      return true;
    }
    return false;
  }

  /** It counts as one of its agent's from now on, and may stay. */
  serve(waiter: Waiter): void {
    this.#all.delete(waiter);
  }

  /** It was refused, and only stays to be told so. */
  leave = (refused: Standing): void => void this.#leaving.add(refused);

  gone = (one: Standing): void => {
    this.#leaving.delete(one);
    this.standing.delete(one);
  };

  delete(waiter: Waiter): void {
    this.#all.delete(waiter);
    this.standing.delete(waiter);
  }
}
