/**
 * The alerts of every policy in use on this machine: fences may have policies of their own, and one engine evaluates
 * for all. Each process shows its alerts here as long as it lives.
 */
import type { Database } from 'bun:sqlite';
import type { AlertRule } from '../../policy/alerts/alertrule.ts';
import type { SharedRule } from '../recipient.ts';

/** Milliseconds after which what a process showed no longer counts, and between its showing it anew. */
const STALE = 180_000;
const SHOW = 60_000;

export class Rulesets {
  readonly #db: Database;
  readonly #source: string;
  #shown: readonly AlertRule[] | null = null;
  #next = 0;

  /** `source`: which policy it is; processes of the same policy share it. */
  constructor(db: Database, source: string) {
    this.#db = db;
    this.#source = source;
  }

  /** `now`: wall time. */
  show(rules: readonly AlertRule[], now: number): void {
    if (rules === this.#shown && now < this.#next && now > this.#next - 2 * SHOW) return;
    this.#db
      .query('INSERT OR REPLACE INTO ruleset (source, rules, seen) VALUES (?, ?, ?)')
      .run(this.#source, JSON.stringify(rules), now);
    this.#db.query('DELETE FROM ruleset WHERE seen < ?').run(now - STALE);
    this.#shown = rules;
    this.#next = now + SHOW;
  }

  /** The policies that processes go by now, its own among them. */
  sources(now: number): Set<string> {
    const rows = this.#db.query('SELECT source FROM ruleset WHERE seen >= ?').values(now - STALE);
    return new Set([this.#source, ...(rows as [string][]).map(([source]) => source)]);
  }

  /** Its own and those of others; the same alert in several policies is one, which tells whoever any of them names. */
  all(own: readonly AlertRule[], now: number): SharedRule[] {
    const rows = this.#db
      .query('SELECT source, rules FROM ruleset WHERE source <> ? AND seen >= ? ORDER BY source')
      .all(this.#source, now - STALE) as { source: string; rules: string }[];
    const others = rows.map(({ source, rules }) => ({ source, rules: JSON.parse(rules) as AlertRule[] }));
    const rules = new Map<string, SharedRule>();
    for (const { source, rules: theirs } of [{ source: this.#source, rules: own }, ...others]) {
      for (const rule of theirs) {
        const key = `${rule.name}\n${rule.text}`;
        const known = rules.get(key);
        const notify = [...new Set([...(known?.notify ?? []), ...rule.notify])];
        const namings = [...(known?.namings ?? []), { source, notify: rule.notify }];
        rules.set(key, { ...(known ?? rule), notify, namings });
      }
    }
    return [...rules.values()];
  }
}
