/**
 * Bounds how many hosts one agent can put into rows and totals: past a thousand in a minute, or ten thousand in
 * an hour, names give way to the domain they were registered under, then to "other". Such a host stands in
 * parentheses, which no real one can, and its port is 0.
 */
import { LANES, type Lane } from './row.ts';

const LIMITS = [
  { span: 60_000, most: 1_000 },
  { span: 3_600_000, most: 10_000 },
] as const;

export const OTHER_HOSTS = '(other)';

/**
 * Whether a recorded host stands for many, `(example.com)` for hosts below that domain, `(other)` for any; or for none that
 * could be read, as `(unread)` does.
 */
export function isFolded(host: string): boolean {
  return host.startsWith('(');
}

interface Window {
  began: number;
  hosts: Set<string>;
}

export interface DistinctHosts {
  /**
   * The host itself while the agent has had few in this lane; otherwise what it is counted as. `variant` is what
   * else tells its rows apart (port, detail): hosts with many variants count as many.
   */
  admit(agent: string, lane: Lane, host: string, variant: string, time: number): string;
}

export function createDistinctHosts(): DistinctHosts {
  const windows = new Map(LANES.map((lane) => [lane, new Map<string, Window[]>()]));
  let registrableDomain: ((name: string) => string | null) | null = null;
  let loading = false;

  /** The public suffix list is large and seldom needed, so it is loaded when a flood begins. */
  const load = () => {
    loading = true;
    import('../names/suffix.ts').then(
      (module) => {
        registrableDomain = module.registrableDomain;
      },
      () => {},
    );
  };
  const domainOf = (host: string): string => {
    if (/:|^[\d.]+$/.test(host)) return OTHER_HOSTS;
    const domain = registrableDomain?.(host) ?? null;
    return domain === null ? OTHER_HOSTS : `(${domain})`;
  };

  const windowsOf = (agent: string, lane: Lane, time: number): Window[] => {
    const all = windows.get(lane)!;
    let mine = all.get(agent);
    if (mine === undefined) {
      mine = LIMITS.map(() => ({ began: 0, hosts: new Set() }));
      all.set(agent, mine);
    }
    for (let i = 0; i < LIMITS.length; i++) {
      const began = time - (time % LIMITS[i]!.span);
      if (mine[i]!.began !== began) mine[i] = { began, hosts: new Set() };
    }
    return mine;
  };

  return {
    admit(agent, lane, host, variant, time) {
      const mine = windowsOf(agent, lane, time);
      const exact = `${host} ${variant}`;
      // Nearly always it was there a moment ago.
      if (mine.every(({ hosts }) => hosts.has(exact))) return host;
      const full = (name: string) =>
        LIMITS.some(
          ({ most }, i) => mine[i]!.hosts.size >= most * shareOf(name) && !mine[i]!.hosts.has(name),
        );
      const add = (name: string) => {
        for (const { hosts } of mine) hosts.add(name);
        return name;
      };
      if (!full(exact)) {
        add(exact);
        if (!loading && mine[0]!.hosts.size > LIMITS[0].most / 2) load();
        return host;
      }
      const domain = domainOf(host);
      return domain === OTHER_HOSTS || full(domain) ? OTHER_HOSTS : add(domain);
    },
  };
}

/** Domains come after the hosts and have as much room again. */
function shareOf(name: string): number {
  return isFolded(name) ? 2 : 1;
}
