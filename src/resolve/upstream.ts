/** Who answers real questions, and what all of them have in common. */
import type { Address } from '../names/address.ts';
import type { AddressType, ParsedAnswer } from '../wire/dns/lookup.ts';
import { TYPE } from '../wire/dns/type.ts';

/** `detail` is for records: `nxdomain`, `servfail`, `timeout`, `no addresses`, … */
export type Resolution = { ok: true; addresses: readonly Address[] } | { ok: false; detail: string };

/** `ttl`: seconds for which the answer holds; 0 where nobody says. */
export type Found = { ok: true; addresses: Address[]; ttl: number } | { ok: false; detail: string };

/** Finds all addresses of a canonical name, of both families. Never rejects. */
export type Upstream = (name: string) => Promise<Found>;

/**
 * Asks for both families at once. One that fails while the other has addresses is left out: what is not in the
 * answer is not dialled either. Such an answer is not worth keeping.
 */
export function askBoth(ask: (name: string, type: AddressType) => Promise<Found>): Upstream {
  return async (name) => {
    const answers = await Promise.all([ask(name, TYPE.A), ask(name, TYPE.AAAA)]);
    const addresses = answers.flatMap((answer) => (answer.ok ? answer.addresses : []));
    const failed = answers.find((answer) => !answer.ok);
    if (addresses.length > 0) {
      const ttls = answers.map((answer) =>
        answer.ok && answer.addresses.length > 0 ? answer.ttl : Infinity,
      );
      return { ok: true, addresses, ttl: failed === undefined ? Math.min(...ttls) : 0 };
    }
    return { ok: false, detail: failed !== undefined && !failed.ok ? failed.detail : 'no addresses' };
  };
}

/** For answers over a channel that belongs to one question, where a stranger can only be a broken server. */
export function foundIn(answer: ParsedAnswer): Found {
  switch (answer.state) {
    case 'addresses':
      return { ok: true, addresses: answer.addresses, ttl: answer.ttl };
    case 'truncated':
      return { ok: false, detail: 'the answer was cut off' };
    case 'stranger':
      return { ok: false, detail: 'the answer was to another question' };
    default:
      return { ok: false, detail: answer.detail };
  }
}
