/** What the gateway would answer, as far as that can be known without resolving a name or connecting. */
import type { Address } from '../names/address.ts';
import { areMixed, decide, judgeAddress, type Moment } from './decide.ts';
import type { Decision, Target } from './decision.ts';
import type { Policy } from './policy.ts';

/** Hop 3, and hop 4 where the addresses are known without asking anybody. */
export function answerFor(policy: Policy, target: Target, at: Moment): Decision {
  const decision = decide(policy, target, at);
  const addresses = knownAddresses(policy, target);
  if (decision.verdict !== 'allow' || addresses.length === 0) return decision;
  const refusal = { ...decision, verdict: 'deny', wouldDeny: false } as const;
  if (areMixed(addresses)) return { ...refusal, reason: 'addresses-mixed' };
  // One rule must admit all of them; observing, no rule does.
  const { allowedBy } = decision;
  const judged = (allowedBy.length > 0 ? allowedBy : [null]).map((rule) => ({
    rule,
    refused: addresses
      .map((address) => judgeAddress(policy, target, rule, address, at.now))
      .find((each) => each !== null),
  }));
  const admitting = judged.find(({ refused }) => refused === undefined);
  if (admitting !== undefined) return { ...decision, rule: admitting.rule };
  const { rule, refused } = judged[0]!;
  return { ...refusal, reason: refused!.reason, rule };
}

/** The addresses of a target that are known without asking anybody. */
export function knownAddresses(policy: Policy, { host }: Target): readonly Address[] {
  return host.kind === 'address' ? [host.address] : (policy.hosts.get(host.name) ?? []);
}
