/** The domain that somebody registered, for names as they are recorded: remembered, since the same hosts come again. */
import { isFolded } from '../../events/distinct.ts';
import { UNREAD_HOST } from '../../events/event.ts';
import { parseHost } from '../../names/host.ts';
import { registrableDomain } from '../../names/suffix.ts';
import { BoundedMap } from '../counting/bounded.ts';

const MOST_KNOWN = 20_000;

/** `example.co.uk` for a name; an address itself; `example.com` for `(example.com)` and `(?.x.example.com)`; null for `(other)` and `(unread)`. */
export function createDomains(): (host: string) => string | null {
  const known = new BoundedMap<string>(MOST_KNOWN);
  return (host) => {
    if (host === '(other)' || host === UNREAD_HOST) return null;
    const before = known.get(host);
    if (before !== undefined) return before;
    const domain = domainOf(host);
    known.set(host, domain);
    return domain;
  };
}

function domainOf(host: string): string {
  const name = isFolded(host) ? host.slice(1, -1).replace('?.', '') : host;
  return parseHost(name)?.kind === 'address' ? name : (registrableDomain(name) ?? name);
}
