/** One allow rule as it is written into a policy file: the host alone where that says everything. */
import type { Item } from './splice.ts';

export interface RuleText {
  host: string;
  /** Empty: the ports that a rule has by itself. */
  ports: readonly number[];
  until: number | null;
  note: string | null;
  force: boolean;
}

export function itemOf({ host, ports, until, note, force }: RuleText): Item {
  const options: [key: string, value: string][] = [];
  if (ports.length > 0) options.push(['ports', `[${ports.join(', ')}]`]);
  if (until !== null) options.push(['until', new Date(until).toISOString().replace('.000Z', 'Z')]);
  if (note !== null) options.push(['note', JSON.stringify(note)]);
  if (force) options.push(['force', 'true']);
  const name = scalar(host);
  if (options.length === 0) return { block: [name], flow: name };
  const lines = [['host', name] as const, ...options].map(([key, value]) => `${key}: ${value}`);
  return { block: lines, flow: `{ ${lines.join(', ')} }` };
}

/** Quoted wherever some YAML reader could take it for something else than text. */
function scalar(host: string): string {
  return /^[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)+$/.test(host) ? host : `"${host}"`;
}
