/** Clients that have yet to say what they want. Beyond so many, who has waited for longest has to go. */
import { limitsOf, type Policy } from '../policy/policy.ts';
import type { Reason } from '../policy/reason.ts';
import type { AllStanding, Standing } from './standing.ts';

export interface Waiter extends Standing {
  /** It is told why, as far as that can be said. */
  giveUp(reason: Reason): void;
}

const MOST = 4_096;

export class Waiting {
  #all = new Set<Waiter>();

  constructor(
    private readonly standing: AllStanding,
    private readonly policy: () => Policy,
  ) {}

  add(waiter: Waiter): void {
    if (this.#all.size >= Math.min(MOST, limitsOf(this.policy()).connections)) this.makeRoom();
    this.#all.add(waiter);
    this.standing.add(waiter);
  }

  /** False where nobody waits. */
  makeRoom(): boolean {
    for (const oldest of this.#all) {
      oldest.giveUp('limit-total');
      return true;
    }
    return false;
  }

  delete(waiter: Waiter): void {
    this.#all.delete(waiter);
    this.standing.delete(waiter);
  }
}
