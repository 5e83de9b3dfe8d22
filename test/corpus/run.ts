/** One case from beginning to end: policy, conversation, side effects, and a request of somebody else afterwards. */
import type { Case, Verdict } from './case.ts';
import { control, converse, OCTET_BY_OCTET, type Outcome, type Sending, WHOLE } from './conversation.ts';
import { breaches } from './mustnot.ts';
import { ANSWER } from './origin.ts';
import { policyText } from './policytext.ts';
import { DECIDED_OTHERWISE } from './scope.ts';
import type { Stand } from './stand.ts';
import type { Subject } from './subject.ts';

/** Whether this answer is one that the case accepts. A connection that is closed without a word refuses, either way. */
export function accepts(each: Case, verdict: Outcome['verdict']): boolean {
  const accepted: Verdict[] = [
    each.expected,
    ...(each.also_ok ?? []),
    ...(DECIDED_OTHERWISE[each.id]?.accept ?? []),
  ];
  if (verdict === 'closed') return accepted.includes('deny') || accepted.includes('error');
  return verdict !== 'open' && accepted.includes(verdict);
}

function fileText({ input, policy, setup }: Case): string | null {
  if (input.file_text !== undefined) return input.file_text;
  if (input.file_hex !== undefined) return Buffer.from(input.file_hex, 'hex').toString('latin1');
  return policy.file === undefined ? policyText(policy, setup) : null;
}

/** Makes the policy and the world of a case; false where its policy does not load. */
export function prepare(each: Case, stand: Stand, subject: Subject): boolean {
  stand.answer(each.setup?.dns ?? {});
  stand.good.answer = each.setup?.upstream_response ?? ANSWER;
  const loaded = subject.load(fileText(each)!);
  stand.forget();
  return loaded;
}

/** What is wrong; empty where the case passes. */
export async function run(
  each: Case,
  stand: Stand,
  subject: Subject,
  send: Sending = each.input.segments?.[0]?.split === 'each-byte' ? OCTET_BY_OCTET : WHOLE,
): Promise<string[]> {
  const loaded = prepare(each, stand, subject);
  if (!loaded) {
    if (each.channel !== 'policy') return ['the policy does not load'];
    return accepts(each, 'error') ? [] : [`the policy does not load, and should: ${each.expected}`];
  }
  const outcome = await converse(each, subject, send);
  const wrong = accepts(each, outcome.verdict) ? [] : [`${outcome.verdict}, not ${each.expected}`];
  return [...wrong, ...(await aftermath(each, stand, subject, outcome))];
}

/** The side effects of what was said, and whether others are still served. */
export async function aftermath(
  each: Case,
  stand: Stand,
  subject: Subject,
  outcome: Outcome,
): Promise<string[]> {
  try {
    const controlTook = await control(each, subject);
    const allowed = outcome.verdict === 'allow';
    return breaches(each, { stand, heard: outcome.heard, allowed, controlTook });
  } catch (error) {
    return [(error as Error).message];
  }
}
