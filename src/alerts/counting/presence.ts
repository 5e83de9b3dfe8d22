/**
 * When somebody watched. While the machine slept, or no gateway ran, nothing was counted because nobody looked, and
 * that is no silence. The same holds for one agent whose fences have all ended.
 */

export interface Span {
  since: number;
  until: number;
}

/** A pause between two looks that is longer than this was a sleep or an outage, milliseconds. */
export const LONGEST_PAUSE = 10_000;
/** For how long it is known, milliseconds: as long as the longest window, and a day. */
const KEPT = 8 * 86_400_000;
const MOST_SPANS = 1_000;
const MOST_AGENTS = 2_000;

/** What somebody who looks back has to take for missed: what is known of it, and all before that. `missed` oldest first. */
export function missedBefore(now: number, missed: readonly Span[]): Span[] {
  const unknown = { since: 0, until: now - KEPT };
  const apart = missed.filter(({ since, until }) => {
    if (since > unknown.until) return true;
    unknown.until = Math.max(unknown.until, until);
    return false;
  });
  return [unknown, ...apart];
}

interface AgentPresence {
  sessions: Set<string>;
  /** Since when none of its sessions runs. */
  since: number | null;
  /** When the last such time ended. */
  until: number | null;
}

export class Presence {
  #missed: Span[];
  readonly #agents = new Map<string, AgentPresence>();

  /** Oldest first. */
  constructor(missed: readonly Span[]) {
    this.#missed = [...missed];
  }

  get missed(): readonly Span[] {
    return this.#missed;
  }

  miss(since: number, until: number): void {
    const kept = this.#missed.filter((span) => span.until > until - KEPT);
    const last = kept.at(-1);
    if (last !== undefined && since <= last.until) last.until = Math.max(last.until, until);
    else kept.push({ since, until });
    this.#missed = kept.slice(-MOST_SPANS);
  }

  started(agent: string, session: string, time: number): void {
    let presence = this.#agents.get(agent);
    if (presence === undefined) {
      if (this.#agents.size >= MOST_AGENTS) this.#agents.delete(this.#agents.keys().next().value!);
      presence = { sessions: new Set(), since: null, until: null };
      this.#agents.set(agent, presence);
    }
    presence.sessions.add(session);
    if (presence.since === null) return;
    presence.until = time;
    presence.since = null;
  }

  stopped(agent: string, session: string, time: number): void {
    this.started(agent, session, time);
    const presence = this.#agents.get(agent)!;
    presence.sessions.delete(session);
    if (presence.sessions.size === 0) presence.since = time;
  }

  /** The end of the last time, within the window before `at`, in which nobody watched; null if there was none. */
  missedUntil(at: number, window: number, agent: string | null): number | null {
    const begin = at - window;
    let until: number | null = null;
    for (let i = this.#missed.length - 1; i >= 0; i--) {
      const span = this.#missed[i]!;
      if (span.since >= at) continue;
      if (span.until > begin) until = Math.min(at, span.until);
      break;
    }
    const presence = agent === null ? undefined : this.#agents.get(agent);
    if (presence === undefined) return until;
    if (presence.since !== null) return at;
    if (presence.until !== null && presence.until > begin) return Math.max(until ?? 0, presence.until);
    return until;
  }
}
