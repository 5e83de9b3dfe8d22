/** What gateways say about themselves, and refusals that say it for them. */
import type { NoticeEvent } from '../../events/event.ts';
import type { DetectorName } from '../../policy/alerts/condition.ts';
import type { Reason } from '../../policy/reason.ts';
import type { Detector, Finding } from './detector.ts';

interface Sign {
  topics: Partial<Record<NoticeEvent['topic'], string>>;
  reason?: Reason;
  /** Whether it is one agent's matter, not the machine's. */
  ofAgent?: boolean;
}

/** `text` of a notice is left out: parts of it may be a file's, and its record is there to be read. */
const SIGNS = {
  policy_rejected: {
    topics: { 'policy-rejected': 'a changed policy does not parse; the one before it stays in force' },
  },
  killed: { topics: { killed: 'the kill switch was turned on' }, reason: 'killed' },
  gateway_restarted: {
    topics: { 'worker-restarted': 'a gateway process had died or hung, and was started again' },
  },
  store_failing: {
    topics: {
      'store-failed': 'records could not be written, and connections were refused meanwhile',
      'store-replaced': 'the store of records was damaged or gone, and another was begun',
    },
    reason: 'audit-unavailable',
  },
  fence_broken: {
    topics: { 'fence-broken': 'the fence did not pass its own check, and the command was not started' },
    ofAgent: true,
  },
} as const satisfies Partial<Record<DetectorName, Sign>>;

export type NoticeDetector = keyof typeof SIGNS;

export function createNotices(name: NoticeDetector): Detector {
  const { topics, reason, ofAgent }: Sign = SIGNS[name];
  const told = (agent: string, text: string): Finding => ({
    agent: ofAgent === true ? agent : null,
    host: null,
    text,
    value: null,
    threshold: null,
  });
  return {
    see(row) {
      if (row.kind === 'notice') {
        const text = topics[row.topic];
        return text === undefined ? null : told(row.agent, text);
      }
      if (reason === undefined || !('reason' in row) || row.reason !== reason) return null;
      return told(row.agent, Object.values(topics)[0]!);
    },
  };
}
