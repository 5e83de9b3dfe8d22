/** Which registrable domains were refused before, and when first: one that never was is worth telling. */
import { isFolded, OTHER_HOSTS } from '../events/distinct.ts';

/** Past these the ones known longest are forgotten, and would be new again. */
const MOST = 100_000;

export class NewDomains {
  readonly #first = new Map<string, number>();

  /** Whether a refusal at this time is the first of the domain. */
  see(domain: string | null, time: number): boolean {
    if (domain === null || domain === OTHER_HOSTS || this.#first.has(domain)) return false;
    this.#set(domain, time);
    return true;
  }

  /** It was refused before; the earliest time counts. */
  know(domain: string, time: number): void {
    const known = this.#first.get(domain);
    if (domain !== OTHER_HOSTS && (known === undefined || time < known)) this.#set(domain, time);
  }

  /** A refusal at this time is yet to be seen. */
  unknow(domain: string | null, time: number): void {
    if (domain !== null && (this.#first.get(domain) ?? 0) >= time) this.#first.delete(domain);
  }

  firstSeen(domain: string | null): number | null {
    return domain === null || isFolded(domain) ? null : (this.#first.get(domain) ?? null);
  }

  #set(domain: string, time: number): void {
    if (this.#first.size >= MOST) this.#first.delete(this.#first.keys().next().value!);
    this.#first.set(domain, time);
  }
}
