/** Which registrable domains were refused before, and when first: one that never was is worth telling. */
import { isFolded } from '../../events/distinct.ts';

/** Past twice these the ones known longest are forgotten, and would be new again. */
const MOST = 50_000;

export class NewDomains {
  /** Two generations: the older one is dropped whole, as a Map is slow when it loses its first keys one by one. */
  #first = new Map<string, number>();
  #older = new Map<string, number>();

  /** Whether a refusal at this time is the first of the domain. */
  see(domain: string | null, time: number): boolean {
    if (domain === null || isFolded(domain) || this.#get(domain) !== null) return false;
    this.#set(domain, time);
    return true;
  }

  /** It was refused before; the earliest time counts. */
  know(domain: string, time: number): void {
    const known = this.#get(domain);
    if (!isFolded(domain) && (known === null || time < known)) this.#set(domain, time);
  }

  /** A refusal at this time is yet to be seen. */
  unknow(domain: string | null, time: number): void {
    if (domain === null || (this.#get(domain) ?? 0) < time) return;
    this.#first.delete(domain);
    this.#older.delete(domain);
  }

  firstSeen(domain: string | null): number | null {
    return domain === null || isFolded(domain) ? null : this.#get(domain);
  }

  #get(domain: string): number | null {
    const known = this.#first.get(domain);
    if (known !== undefined) return known;
    const before = this.#older.get(domain);
    if (before === undefined) return null;
    this.#set(domain, before);
    return before;
  }

  #set(domain: string, time: number): void {
    if (this.#first.size >= MOST) {
      this.#older = this.#first;
      this.#first = new Map();
    }
    this.#first.set(domain, time);
  }
}
