/** Puts a firewall in force by netfilter's own messages, as one batch: all of it or nothing. */
import { NETLINK_NETFILTER, transactOnce } from './netlink.ts';
import type { Datagram } from './netlinkmessage.ts';

/** `rules`: see encodeRuleset. Throws OsError naming the refused message. Nothing is in force then. */
export function applyRules(rules: Datagram): void {
  transactOnce(NETLINK_NETFILTER, rules);
}
