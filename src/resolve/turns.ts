/**
 * Turns at a bounded number of places. Whoever has to wait does so in the line of its group, and the lines take turns:
 * a group whose turns take long keeps the others from a part of the places, and never from all.
 */
interface Group {
  running: number;
  line: Array<() => void>;
}

export interface TurnLimits {
  running: number;
  runningOfGroup: number;
  waiting: number;
  waitingOfGroup: number;
}

export class Turns {
  #running = 0;
  #waiting = 0;
  /** Those that run or wait, the one whose turn was last at the end. */
  readonly #groups = new Map<string, Group>();

  constructor(private readonly limits: TurnLimits) {}

  /** Whether one more of this group may come. */
  hasRoom(name: string): boolean {
    const waiting = this.#groups.get(name)?.line.length ?? 0;
    return this.#waiting < this.limits.waiting && waiting < this.limits.waitingOfGroup;
  }

  /** Resolves when it is its turn, which ends with `pass`. */
  take(name: string): Promise<void> {
    const group = this.#groups.get(name) ?? { running: 0, line: [] };
    this.#groups.set(name, group);
    this.#waiting++;
    const turn = new Promise<void>((resolve) => group.line.push(resolve));
    this.#next();
    return turn;
  }

  pass(name: string): void {
    const group = this.#groups.get(name)!;
    group.running--;
    this.#running--;
    if (group.running === 0 && group.line.length === 0) this.#groups.delete(name);
    this.#next();
  }

  #next(): void {
    if (this.#waiting === 0 || this.#running >= this.limits.running) return;
    for (const [name, group] of this.#groups) {
      if (group.line.length === 0 || group.running >= this.limits.runningOfGroup) continue;
      this.#groups.delete(name);
      this.#groups.set(name, group);
      group.running++;
      this.#running++;
      this.#waiting--;
      group.line.shift()!();
      return;
    }
  }
}
