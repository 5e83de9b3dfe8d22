/** The detectors by name. */
import type { AlertRule } from '../../policy/alerts/alertrule.ts';
import type { Condition, DetectorName } from '../../policy/alerts/condition.ts';
import { createUnexpectedAgents } from './agents.ts';
import { createFirstContacts } from './contact.ts';
import type { Detector, DetectorContext } from './detector.ts';
import { createLookalikes } from './lookalike.ts';
import { createNotices } from './notices.ts';
import { createRiskyTlds } from './riskytld.ts';
import { createTunnels } from './tunnel.ts';
import { createUploads } from './upload.ts';

const MAKERS: Record<DetectorName, (context: DetectorContext) => Detector> = {
  lookalike: createLookalikes,
  risky_tld: createRiskyTlds,
  dns_tunnel: createTunnels,
  unusual_upload: createUploads,
  unexpected_agent: createUnexpectedAgents,
  first_contact: createFirstContacts,
  policy_rejected: () => createNotices('policy_rejected'),
  killed: () => createNotices('killed'),
  gateway_restarted: () => createNotices('gateway_restarted'),
  store_failing: () => createNotices('store_failing'),
  fence_broken: () => createNotices('fence_broken'),
};

/** Those that the rules' conditions name, one of each. */
export function createDetectors(
  rules: readonly AlertRule[],
  context: DetectorContext,
): Map<DetectorName, Detector> {
  const detectors = new Map<DetectorName, Detector>();
  for (const { condition } of rules)
    for (const name of detectorsIn(condition))
      if (!detectors.has(name)) detectors.set(name, MAKERS[name](context));
  return detectors;
}

function detectorsIn(condition: Condition): readonly DetectorName[] {
  if (condition.kind === 'detector') return [condition.name];
  if (condition.kind === 'not') return detectorsIn(condition.of);
  return condition.kind === 'and' || condition.kind === 'or' ? condition.of.flatMap(detectorsIn) : [];
}
