/** What the connections of one agent in one session share: who they are, and what was refused so far. */
import type { Address } from '../names/address.ts';
import { type Refusal, refusalLine, refusalSeen } from './refusal.ts';

/** Names behind synthetic addresses, as the session's own stub gave them out. */
export interface Names {
  /** The name that this address stands for, or null if it stands for itself. */
  nameOf(address: Address): string | null;
  /** Keeps the address from being given to another name while a connection uses it. */
  retain(address: Address): void;
  release(address: Address): void;
}

export interface Counted {
  refusal: Refusal;
  count: number;
}

/** Distinct refusals kept for the agent to read; the store has all of them. */
const REMEMBERED = 100;

/** Stands for the agent where nobody knows who it is. Not the name of any. */
export const UNIDENTIFIED = '-';

/** For clients that say names themselves. */
export const NO_NAMES: Names = { nameOf: () => null, retain() {}, release() {} };

/** What agents of one session share: the last number of a row, and the names of its stub once it has one. */
interface Shared {
  last: number;
  names: Names;
}

export class Session {
  #refusals = new Map<string, Counted>();

  constructor(
    readonly agent: string,
    /** Unique on this machine. */
    readonly id: string,
    private readonly shared: Shared = { last: 0, names: NO_NAMES },
  ) {}

  /** The id of a new row, unique within the session. */
  nextConnection(): number {
    return ++this.shared.last;
  }

  get names(): Names {
    return this.shared.names;
  }

  /** Whichever of a session's listeners comes first: those of proxies know no names. */
  nameBy(names: Names): void {
    this.shared.names = names;
  }

  /** The same session as another agent has it. */
  of(agent: string): Session {
    return new Session(agent, this.id, this.shared);
  }

  remember(refusal: Refusal, times = 1): void {
    const key = `${refusal.reason} ${refusal.port} ${refusal.host}`;
    const count = (this.#refusals.get(key)?.count ?? 0) + times;
    this.#refusals.delete(key);
    this.#refusals.set(key, { refusal, count });
    if (this.#refusals.size > REMEMBERED) {
      for (const oldest of this.#refusals.keys()) {
        this.#refusals.delete(oldest);
        break;
      }
    }
  }

  refusalsText(): string {
    if (this.#refusals.size === 0) return 'Clawctl Egress has refused nothing in this session.\n';
    const lines = this.#latestFirst().map(
      ({ refusal, count }) =>
        `${new Date(refusal.time).toISOString()} ${refusalLine(refusal)}${count > 1 ? ` (${count} times)` : ''}\n`,
    );
    return `What Clawctl Egress refused or could not reach, latest first:\n${lines.join('')}`;
  }

  refusalsJson(): string {
    const items = this.#latestFirst().map(({ refusal, count }) => ({
      time: new Date(refusal.time).toISOString(),
      ...refusalSeen(refusal),
      count,
    }));
    return `${JSON.stringify({ schema: 'clawctl.egress.session-refusals/v1', items })}\n`;
  }

  /** Those of other processes come a moment later. */
  #latestFirst(): Counted[] {
    return [...this.#refusals.values()].reverse().sort((a, b) => b.refusal.time - a.refusal.time);
  }
}
