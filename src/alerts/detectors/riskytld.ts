/** A request to a host under a top-level name that is abused more than others. */
import type { Detector } from './detector.ts';
import { RISKY_TLDS } from './riskytlds.ts';

export function createRiskyTlds(): Detector {
  return {
    see(row) {
      // What a rule allows, somebody has looked at.
      if (row.kind !== 'decision' || (row.verdict === 'allow' && !row.wouldDeny)) return null;
      const { agent, host } = row;
      const end = host.endsWith(')') ? host.length - 1 : host.length;
      const tld = host.slice(host.lastIndexOf('.') + 1, end);
      if (!RISKY_TLDS.has(tld)) return null;
      return {
        agent,
        host,
        text: `${host} is under .${tld}, where many domains do harm`,
        value: null,
        threshold: null,
      };
    },
  };
}
