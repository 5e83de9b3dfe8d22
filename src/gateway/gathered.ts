/** Bytes that wait for a verdict, in one piece, at a cost that stays linear however small they come. */
export class Gathered {
  #store: Uint8Array = EMPTY;
  #start = 0;
  #end = 0;
  /** Whether `#store` is ours to write into; the first piece is only borrowed. */
  #owned = false;

  get length(): number {
    return this.#end - this.#start;
  }

  /** A view, good until the next `push`. */
  get bytes(): Uint8Array {
    if (this.#start === 0 && this.#end === this.#store.length) return this.#store;
    return this.#store.subarray(this.#start, this.#end);
  }

  push(bytes: Uint8Array): void {
    if (this.length === 0) {
      this.#store = bytes;
      this.#start = 0;
      this.#end = bytes.length;
      this.#owned = false;
      return;
    }
    const length = this.length + bytes.length;
    if (!this.#owned || this.#end + bytes.length > this.#store.length) {
      const larger = new Uint8Array(Math.max(2 * length, 256));
      larger.set(this.bytes);
      this.#store = larger;
      this.#start = 0;
      this.#end = length - bytes.length;
      this.#owned = true;
    }
    this.#store.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  /** Takes the first `count` bytes out. They belong to the caller. */
  take(count: number): Uint8Array {
    const whole = this.#start === 0 && count === this.#store.length;
    const taken = whole ? this.#store : this.#store.subarray(this.#start, this.#start + count);
    this.drop(count);
    return taken;
  }

  /** The same for bytes that nobody wants. */
  drop(count: number): void {
    this.#start += count;
    // What was handed out may wait in a socket: only bytes after it may be overwritten, so never start over.
    if (this.length === 0) {
      this.#store = EMPTY;
      this.#start = 0;
      this.#end = 0;
    }
  }

  takeAll(): Uint8Array {
    return this.take(this.length);
  }
}

const EMPTY = new Uint8Array(0);
