/**
 * The system's own resolver: getaddrinfo(3) on a thread of its own, so hosts file, nsswitch and search list
 * count as they do for every other program of this machine.
 */
import { parseAddress } from '../names/address.ts';
import type { Upstream } from './upstream.ts';

export const lookupBySystem: Upstream = (name) =>
  new Promise((resolve) => {
    // Loaded by the first question: many a command asks none.
    process.getBuiltinModule('node:dns').lookup(name, { all: true, verbatim: true }, (error, results) => {
      if (error !== null) {
        resolve({ ok: false, detail: error.code === 'ENOTFOUND' ? 'nxdomain' : (error.code ?? 'failed') });
        return;
      }
      const texts = [...new Set(results.map(({ address }) => address))];
      const addresses = texts.map(parseAddress).filter((address) => address !== null);
      // Such as a link-local address with its zone: what cannot be judged is not left out in silence.
      if (addresses.length < texts.length) resolve({ ok: false, detail: 'an address cannot be read' });
      else if (addresses.length === 0) resolve({ ok: false, detail: 'no addresses' });
      else resolve({ ok: true, addresses, ttl: 0 });
    });
  });
