/**
 * Limits that do nothing, because another rule allows the same without one: any one rule suffices. Told of the rule
 * that lifts the limit, or of the limited one where a preset does.
 */
import type { Rule } from './decision.ts';
import type { PolicyDocument } from './document.ts';
import { patternOf } from './pattern.ts';
import { WEB_PORTS } from './ruleentry.ts';

/** What allows without limit: a rule, or a host of a preset. */
interface Free {
  ports: readonly number[];
  agents: readonly string[];
  by: Rule | string;
}

export function* liftedLimits(
  document: PolicyDocument,
): Iterable<[rule: Rule, message: string, fix: string]> {
  const rules = [...document.rules, ...[...document.agents.values()].flatMap((section) => section.rules)];
  const limited = rules.filter(({ bytesUpPerDay }) => bytesUpPerDay !== null);
  if (limited.length === 0) return;
  const free = freeRules(document, rules);
  for (const rule of limited)
    for (const { by } of hostsAbove(rule.host)
      .flatMap((host) => free.get(host) ?? [])
      .filter((other) => lifts(other, rule, document)))
      if (typeof by === 'string')
        yield [
          rule,
          `its limit does nothing: ${by} allows the same without one`,
          'Take the preset out, and write its other hosts under allow.',
        ];
      else if (rule.source.kind === 'file')
        yield [
          by,
          `it lifts the limit of line ${rule.source.line}`,
          'Give it the same limits, or take it out.',
        ];
}

function freeRules(document: PolicyDocument, rules: readonly Rule[]): Map<string, Free[]> {
  const free = new Map<string, Free[]>();
  const add = (host: string, one: Free) => {
    const known = free.get(host);
    if (known === undefined) free.set(host, [one]);
    else known.push(one);
  };
  for (const rule of rules)
    if (rule.action === 'allow' && rule.bytesUpPerDay === null)
      add(rule.host, { ports: rule.ports, agents: rule.agents, by: rule });
  for (const preset of document.presets)
    for (const host of preset.hosts) add(host, { ports: WEB_PORTS, agents: [], by: `preset ${preset.name}` });
  return free;
}

/** The hosts of rules that hold wherever a rule for this host does. */
function hostsAbove(host: string): string[] {
  const pattern = patternOf(host);
  if (pattern.kind === 'range' || pattern.kind === 'any') return [host];
  const labels = pattern.name.split('.');
  const wildcards = labels.slice(1).map((_, i) => `*.${labels.slice(i + 1).join('.')}`);
  return [host, ...wildcards, '*'];
}

/** Whether it holds for everyone for whom the limited rule does; that some agents have more is often meant. */
function lifts({ ports, agents }: Free, rule: Rule, document: PolicyDocument): boolean {
  if (!ports.some((port) => rule.ports.includes(port))) return false;
  if (agents.length > 0)
    return rule.agents.length > 0 && rule.agents.every((agent) => agents.includes(agent));
  return (
    rule.agents.length === 0 || rule.agents.some((agent) => document.agents.get(agent)?.inherit !== false)
  );
}
