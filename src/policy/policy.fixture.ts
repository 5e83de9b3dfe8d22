/** Policies and targets for tests, from the text that a person would write. */
import { parseHost } from '../names/host.ts';
import { compile } from './compile.ts';
import { decide } from './decide.ts';
import type { Decision, Target } from './decision.ts';
import { type PolicyDocument, readDocument } from './document.ts';
import type { Policy } from './policy.ts';
import { problemText } from './problem.ts';

export const NOW = Date.UTC(2026, 0, 1);
export const AT = { now: NOW, killed: false, grants: [] };

export function documentOf(text: string, file = '/home/a/egress.yaml'): PolicyDocument {
  const result = readDocument(text, file);
  if (result.ok) return result.document;
  throw new Error(result.problems.map(problemText).join('\n'));
}

/** Machine-wide first. */
export function policyOf(...texts: string[]): Policy {
  return compile(texts.map((text, level) => documentOf(text, `/files/${level}.yaml`)));
}

export function problemsOf(text: string): string[] {
  const result = readDocument(text, 'egress.yaml');
  return result.ok ? [] : result.problems.map(problemText);
}

export function targetOf(host: string, port = 443, agent = 'bot'): Target {
  const parsed = parseHost(host);
  if (parsed === null) throw new Error(`'${host}' is not a host`);
  return { agent, host: parsed, port };
}

export function decisionOf(policy: Policy, host: string, port?: number, agent?: string): Decision {
  return decide(policy, targetOf(host, port, agent), AT);
}

/** `allow` or the reason of the refusal. */
export function answerOf(policy: Policy, host: string, port?: number, agent?: string): string {
  const { verdict, reason } = decisionOf(policy, host, port, agent);
  return verdict === 'allow' ? 'allow' : reason;
}
