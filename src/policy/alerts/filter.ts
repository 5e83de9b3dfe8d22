/** What stands after `where`, and the patterns of `domain matches`: reading them, each value strictly. */
import { hostText, parseHost } from '../../names/host.ts';

import { isAgentName } from '../agentname.ts';
import { isPublicSuffix } from '../breadth.ts';
import { readPattern } from '../pattern.ts';
import { didYouMean } from '../problem.ts';
import { REASONS, type Reason } from '../reason.ts';
import type { DetectorName, Filter, Metric } from './condition.ts';

export const FIELDS = ['agent', 'host', 'domain', 'reason'] as const;
type Field = (typeof FIELDS)[number];
type Test = Filter['test'];

/** What the filters narrow. */
export type Place = Metric | DetectorName | 'domain';

type Value = { ok: true; value: string } | { ok: false; message: string; fix: string | null };

/** Which fields the rows have that each counts; hosts, domains and agents where nothing is said. */
const FIELDS_OF: Partial<Record<Place, readonly Field[]>> = {
  blocked_requests: FIELDS,
  allowed_requests: FIELDS,
  failed_requests: FIELDS,
  new_blocked_domains: FIELDS,
  domain: FIELDS,
  killed: ['agent'],
  policy_rejected: [],
  gateway_restarted: [],
  store_failing: [],
  fence_broken: ['agent'],
};

const no = (message: string, fix: string | null = null) => ({ ok: false, message, fix }) as const;

export function isField(text: string): text is Field {
  return FIELDS.includes(text as Field);
}

/** How the values of such a filter are read, or what is wrong with it before them. */
export function readFilter(
  place: Place,
  field: Field,
  test: Test,
):
  | { ok: true; read: (text: string) => Value; filter: (values: string[]) => Filter }
  | { ok: false; message: string; fix: string | null; about: 'field' | 'test' } {
  const fields = FIELDS_OF[place] ?? ['agent', 'host', 'domain'];
  if (!fields.includes(field)) {
    const fix = fields.length === 0 ? 'Take the where out.' : `Possible: ${fields.join(', ')}.`;
    return { ...no(`'${place}' has no ${field} to compare`, fix), about: 'field' };
  }
  if (test === 'matches' && (field === 'agent' || field === 'reason'))
    return { ...no(`only hosts and domains have patterns`, `Write ${field} = …, …`), about: 'test' };
  if (field === 'agent')
    return { ok: true, read: readAgent, filter: (values) => ({ field, test: 'equals', values }) };
  if (field === 'reason')
    return {
      ok: true,
      read: readReason,
      filter: (values) => ({ field, test: 'equals', values: values as Reason[] }),
    };
  const read = (text: string) => (test === 'equals' ? readHost(field, text) : readPatterns(field, text));
  return { ok: true, read, filter: (values) => ({ field, test, values }) };
}

function readAgent(text: string): Value {
  if (isAgentName(text)) return { ok: true, value: text };
  return no(`'${text}' is not the name of an agent`, text.includes('*') ? 'Agents are named in full.' : null);
}

function readReason(text: string): Value {
  if (Object.hasOwn(REASONS, text)) return { ok: true, value: text };
  return no(`unknown reason '${text}'`, didYouMean(text, Object.keys(REASONS)));
}

function readHost(field: 'host' | 'domain', text: string): Value {
  if (text.includes('*')) return no(`'${text}' is a pattern, not a ${field}`, `Write matches ${text}`);
  const host = parseHost(text);
  if (host === null) return no(`'${text}' is not a ${field}`);
  return field === 'host' ? { ok: true, value: hostText(host) } : readPatterns(field, text);
}

/** One pattern, in its canonical form. A domain has no addresses. */
export function readPatterns(field: 'host' | 'domain', text: string): Value {
  const result = readPattern(text);
  if (!result.ok) return no(`'${text}' is not a pattern: ${result.message}`, result.fix);
  const { pattern } = result;
  if (pattern.kind === 'any') return no("'*' matches everything", 'Take it out, or name what is meant.');
  if (pattern.kind === 'range')
    return field === 'host'
      ? { ok: true, value: pattern.text }
      : no(`'${text}' is an address, and an address has no domain`, `Write … where host matches ${text}`);
  // A top-level name alone is no host that anybody reaches: an alert that never fires would be worse than an error.
  if (pattern.kind === 'name' && !pattern.name.includes('.') && isPublicSuffix(pattern.name))
    return no(`'${text}' is a top-level name, not a host`, `Write *.${pattern.name}`);
  return { ok: true, value: pattern.text };
}
