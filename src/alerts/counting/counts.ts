/**
 * What happened in a sliding window. Only stretches in which something happened take room, each with the sum of
 * all before it, so that any window is the difference of two sums: adding costs the same however long the history
 * and however many windows are asked about.
 */

/** Windows up to an hour are exact to the second, longer ones to the minute. Milliseconds. */
export const LONGEST_EXACT = 3_600_000;
const SECOND = 1_000;
const MINUTE = 60_000;

export function bucketOf(window: number): number {
  return window <= LONGEST_EXACT ? SECOND : MINUTE;
}

/** Forgotten buckets that are carried along before the rest is moved to the front. */
const SLACK = 512;

export class Counts {
  readonly #numbers: number[] = [];
  /** What was added up to and with each bucket. */
  readonly #sums: number[] = [];
  /** The first bucket that is remembered, and what was added before it. */
  #first = 0;
  #before = 0;

  /** `width` of a bucket in milliseconds. */
  constructor(readonly width: number) {}

  /** Events may come late: their bucket is put where it belongs. */
  add(time: number, count: number): void {
    const number = Math.floor(time / this.width);
    const last = this.#numbers.length - 1;
    if (last >= this.#first && this.#numbers[last] === number) {
      this.#sums[last]! += count;
      return;
    }
    if (last < this.#first || this.#numbers[last]! < number) {
      this.#numbers.push(number);
      this.#sums.push(this.total + count);
      return;
    }
    const at = this.#after(number);
    if (at > this.#first && this.#numbers[at - 1] === number) {
      for (let i = at - 1; i < this.#sums.length; i++) this.#sums[i]! += count;
      return;
    }
    this.#numbers.splice(at, 0, number);
    this.#sums.splice(at, 0, at === this.#first ? this.#before : this.#sums[at - 1]!);
    for (let i = at; i < this.#sums.length; i++) this.#sums[i]! += count;
  }

  /** Everything that was ever added. */
  get total(): number {
    return this.#sums.length > this.#first ? this.#sums[this.#sums.length - 1]! : this.#before;
  }

  /** How many buckets are remembered. */
  get size(): number {
    return this.#numbers.length - this.#first;
  }

  /** In the window whose last bucket is that of `at`. */
  within(at: number, window: number): number {
    const end = Math.floor(at / this.width);
    return this.#upTo(end) - this.#upTo(end - Math.ceil(window / this.width));
  }

  /** When the first of what the window now holds leaves it; infinite where it holds nothing. */
  nextLeaving(at: number, window: number): number {
    const buckets = Math.ceil(window / this.width);
    const first = this.#numbers[this.#after(Math.floor(at / this.width) - buckets)];
    return first === undefined ? Number.POSITIVE_INFINITY : (first + buckets) * this.width;
  }

  /** Forgets what no window up to the longest holds any more. */
  forget(at: number, longest: number): void {
    const kept = this.#after(Math.floor(at / this.width) - Math.ceil(longest / this.width));
    if (kept === this.#first) return;
    this.#before = this.#sums[kept - 1]!;
    this.#first = kept;
    if (kept < SLACK && kept < this.#numbers.length) return;
    this.#numbers.splice(0, kept);
    this.#sums.splice(0, kept);
    // Small again, so that sums stay whole numbers for ever.
    for (let i = 0; i < this.#sums.length; i++) this.#sums[i]! -= this.#before;
    this.#before = 0;
    this.#first = 0;
  }

  #upTo(number: number): number {
    const after = this.#after(number);
    return after === this.#first ? this.#before : this.#sums[after - 1]!;
  }

  /** Index of the first remembered bucket behind this number. */
  #after(number: number): number {
    let low = this.#first;
    let high = this.#numbers.length;
    if (high > low && this.#numbers[high - 1]! <= number) return high;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#numbers[middle]! <= number) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
