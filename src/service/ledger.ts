/**
 * What agents use up, counted by several processes in memory that they share. Each writes a region of its own and
 * reads all of them, so nothing is locked and nothing is lost; what two count in the same microsecond may together go
 * over a limit by one. A cell of a region counts for one key (an agent, a rule of an agent, everybody).
 */

/** Octets: a head, then the regions. */
const HEAD = 4_096;
/** Where in the head the turn is, and the day that it is of, in one number: nobody sees half of it. */
const TURN = 64;
const DAYS = 2 ** 24;
const CELL = 64;
const CELLS = 2_048;
const REGION = CELLS * CELL;
/** Of two generations of workers: one that serves, and one that drains after it was taken over. */
export const SLOTS_OF_GENERATION = 16;
/** What was used up earlier in the day, before this gateway started. */
export const PAST = 2 * SLOTS_OF_GENERATION;
const REGIONS = PAST + 1;
export const LEDGER_BYTES = HEAD + REGIONS * REGION;

/** Fields of a cell, each eight octets. */
const KEY = 0;
const OPEN = 1;
const SECOND = 2;
const OPENED = 3;
/** A turn, where octets are counted by turns. */
const DAY = 4;
const SENT = 5;
const FIELDS = CELL / 8;
/** Cells that are looked at for a key; a region where all are taken counts what is left over in its first cell. */
const PROBES = 32;
const OVERFLOW = 0;
const DAY_MILLISECONDS = 86_400_000;

/** Stands for a key. Never 0, and exact in a double. */
export function keyOf(text: string): number {
  return Number(BigInt(Bun.hash(text)) & 0xf_ffff_ffff_ffffn) + 1;
}

export class Ledger {
  readonly #cells: Float64Array;
  readonly #used: Uint8Array;
  readonly #turn: Float64Array;

  constructor(memory: Uint8Array) {
    this.#used = memory.subarray(0, REGIONS);
    this.#turn = new Float64Array(memory.buffer, memory.byteOffset + TURN, 1);
    this.#cells = new Float64Array(memory.buffer, memory.byteOffset + HEAD, (REGIONS * REGION) / 8);
  }

  /**
   * The turn in which octets are counted, with a limit a day: a new one where the calendar goes on to another day. A
   * clock that is set back begins none, so no day's octets go twice: within a day the turn lasts until the clock is
   * beyond the day that it was of, and farther back it becomes the turn of that day. `now`: wall time, milliseconds.
   */
  turn(now: number): number {
    const day = Math.floor(now / DAY_MILLISECONDS);
    const known = this.day;
    const turn = Math.floor(this.#turn[0]! / DAYS);
    if (day <= known && day >= known - 1) return turn;
    const next = day > known ? turn + 1 : turn;
    // Whoever writes at the same time writes the same.
    this.#turn[0] = next * DAYS + day;
    return next;
  }

  /** The day that the turn is of, counted from the Unix epoch. */
  get day(): number {
    return this.#turn[0]! % DAYS;
  }

  /** Begins with the turn of a day that was before this memory; answers it. */
  begin(day: number): number {
    this.#turn[0] = DAYS + day;
    return 1;
  }

  /** Connections open now, in every region. */
  openOf(key: number): number {
    return this.#sum(key, (at) => this.#cells[at + OPEN]!);
  }

  openedIn(key: number, second: number): number {
    return this.#sum(key, (at) => (this.#cells[at + SECOND] === second ? this.#cells[at + OPENED]! : 0));
  }

  sentOn(key: number, day: number): number {
    return this.#sum(key, (at) => (this.#cells[at + DAY] === day ? this.#cells[at + SENT]! : 0));
  }

  opened(slot: number, key: number, second: number, day: number): void {
    const at = this.#own(slot, key, day);
    const cells = this.#cells;
    cells[at + OPEN]! += 1;
    // The count first: with the second before it, it is nobody's.
    const before = cells[at + SECOND] === second ? cells[at + OPENED]! : 0;
    cells[at + OPENED] = before + 1;
    cells[at + SECOND] = second;
  }

  closed(slot: number, key: number, day: number): void {
    const at = this.#own(slot, key, day);
    if (this.#cells[at + OPEN]! > 0) this.#cells[at + OPEN]! -= 1;
  }

  sent(slot: number, key: number, octets: number, day: number): void {
    const at = this.#own(slot, key, day);
    const cells = this.#cells;
    const before = cells[at + DAY] === day ? cells[at + SENT]! : 0;
    cells[at + SENT] = before + octets;
    cells[at + DAY] = day;
  }

  /** Its process has ended, and its connections with it. What was sent stays sent. */
  ended(slot: number): void {
    const begin = slot * CELLS * FIELDS;
    for (let at = begin; at < begin + CELLS * FIELDS; at += FIELDS) this.#cells[at + OPEN] = 0;
  }

  /** What was sent on a day, by key, to be kept. */
  sentByKey(day: number): Map<number, number> {
    const found = new Map<number, number>();
    for (let at = 0; at < this.#cells.length; at += FIELDS) {
      const key = this.#cells[at + KEY]!;
      if (key !== 0 && this.#cells[at + DAY] === day)
        found.set(key, (found.get(key) ?? 0) + this.#cells[at + SENT]!);
    }
    return found;
  }

  #sum(key: number, of: (at: number) => number): number {
    let sum = 0;
    for (let region = 0; region < REGIONS; region++) {
      if (this.#used[region] === 0) continue;
      const at = this.#find(region, key);
      if (at !== null) sum += of(at);
    }
    return sum;
  }

  #find(region: number, key: number): number | null {
    for (let probe = 0; probe < PROBES; probe++) {
      const at = cellAt(region, key, probe);
      const found = this.#cells[at + KEY];
      if (found === key) return at;
      if (found === 0) return null;
    }
    return cellOf(region, OVERFLOW);
  }

  /** The cell of a key in a region of one's own, taken now where there was none. */
  #own(region: number, key: number, day: number): number {
    this.#used[region] = 1;
    let spare: number | null = null;
    for (let probe = 0; probe < PROBES; probe++) {
      const at = cellAt(region, key, probe);
      const found = this.#cells[at + KEY]!;
      if (found === key) return at;
      const isFree = found === 0 || (this.#cells[at + OPEN] === 0 && this.#cells[at + DAY]! < day);
      if (isFree) spare ??= at;
      if (found === 0) break;
    }
    if (spare === null) return cellOf(region, OVERFLOW);
    for (const field of [OPEN, SECOND, OPENED, DAY, SENT]) this.#cells[spare + field] = 0;
    this.#cells[spare + KEY] = key;
    return spare;
  }
}

const cellOf = (region: number, cell: number) => (region * CELLS + cell) * FIELDS;
/** The first cell is nobody's own. */
const cellAt = (region: number, key: number, probe: number) =>
  cellOf(region, 1 + ((key + probe) % (CELLS - 1)));
