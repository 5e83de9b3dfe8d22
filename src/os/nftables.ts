/** Puts a firewall in force by netfilter's own messages, as one batch: all of it or nothing. */
import { closeDescriptor } from './descriptors.ts';
import { NETLINK_NETFILTER, openNetlink, transact } from './netlink.ts';
import type { Datagram } from './netlinkmessage.ts';

/** `rules`: see encodeRuleset. Throws OsError naming the refused message. Nothing is in force then. */
export function applyRules(rules: Datagram): void {
  const fd = openNetlink(NETLINK_NETFILTER);
  try {
    transact(fd, rules);
  } finally {
    closeDescriptor(fd);
  }
}
