/** What a rule says besides whom, where and when, in words for tables and sentences. */
import { formatSize } from '../base/size.ts';
import type { Rule } from './decision.ts';

/** `50 MB/day up, upgrade to websocket`; empty where it says nothing. */
export function optionsText({ bytesUpPerDay, upgrade }: Rule): string {
  const parts = [];
  if (bytesUpPerDay !== null) parts.push(`${formatSize(bytesUpPerDay)}/day up`);
  if (upgrade.length > 0) parts.push(`upgrade to ${upgrade.join(' or ')}`);
  return parts.join(', ');
}
