/** An incident as it begins: pending, nothing counted yet, nobody told. */
import { createHash } from 'node:crypto';
import type { Group } from '../../policy/alerts/condition.ts';
import type { CompiledRule } from '../counting/condition.ts';
import type { Incident } from '../incident.ts';

/** Without parts: of many groups. The same rule, parts and time give the same id. */
export function newIncident(
  { rule, by }: CompiledRule,
  parts: readonly string[] | null,
  at: number,
): Incident {
  const group: Partial<Record<Group, string>> = {};
  for (const [i, part] of (parts ?? []).entries()) if (part !== '') group[by[i]!] = part;
  const groups = parts === null ? 0 : null;
  const fingerprint = digest([rule.name, rule.text, parts === null ? 'many' : group], 16);
  return {
    id: digest([fingerprint, at], 10),
    ...{ rule: rule.name, severity: rule.severity, condition: rule.text, fingerprint, group, groups },
    ...{ state: 'pending', since: at, firedAt: null, resolvedAt: null, resolvedBy: null },
    ...{ count: 0, value: null, threshold: null, finding: null, hosts: [], agents: [], decidingRule: null },
    ...{ notify: [...rule.notify], told: false, toldTo: [], acknowledged: null, test: false },
    ...(rule.namings === undefined ? {} : { namings: [...rule.namings] }),
  };
}

function digest(value: unknown, length: number): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, length);
}
