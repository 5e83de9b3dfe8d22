/** Why a message about an incident is not sent now: one was sent a short while ago, or a person asked for silence. */

export interface Silence {
  id: number;
  /** Null: every alert. */
  rule: string | null;
  /** Null: every agent. With one, only what concerns that agent alone is silenced. */
  agent: string | null;
  since: number;
  until: number;
  reason: string;
  by: string;
}

export class Mutes {
  /** Until when the cool-down of each fingerprint lasts. */
  readonly cooldowns: Map<string, number>;
  silences: readonly Silence[];

  constructor(cooldowns: Iterable<readonly [string, number]> = [], silences: readonly Silence[] = []) {
    this.cooldowns = new Map(cooldowns);
    this.silences = silences;
  }

  /** Until when no message goes out about such an incident, or null where one may. */
  until(at: number, rule: string, fingerprint: string, agents: readonly string[]): number | null {
    const cooldown = this.cooldowns.get(fingerprint) ?? 0;
    let until = cooldown > at ? cooldown : null;
    for (const silence of this.silences) {
      if (silence.since > at || silence.until <= at) continue;
      if (silence.rule !== null && silence.rule !== rule) continue;
      if (silence.agent !== null && !(agents.length === 1 && agents[0] === silence.agent)) continue;
      until = Math.max(until ?? 0, silence.until);
    }
    return until;
  }

  /** Forgets what is over. */
  forget(at: number): void {
    for (const [fingerprint, until] of this.cooldowns) if (until <= at) this.cooldowns.delete(fingerprint);
  }
}
