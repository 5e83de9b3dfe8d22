/**
 * The only name server inside the fence. It answers from memory and asks nobody, so a question carries nothing
 * out, whatever its labels say. Whether a name may be reached is decided when a connection to it comes.
 */
import { OTHER_HOSTS } from '../events/distinct.ts';
import { LOOPBACK } from '../names/address.ts';
import { isLocalhost, parseHost } from '../names/host.ts';
import { type Answer, parseQuestion, type Question, writeAnswer } from '../wire/dns/message.ts';
import { CLASS_IN, RCODE, TYPE, typeName } from '../wire/dns/type.ts';
import { addressOfReverseName } from './reverse.ts';
import type { SyntheticAddresses } from './synthetic.ts';

export interface Stub {
  /** The answer to one whole message; null where none may be given. */
  answer(message: Uint8Array, transport: 'udp' | 'tcp'): Uint8Array | null;
}

interface Options {
  synthetic: SyntheticAddresses;
  /** Every question: the name as it is compared, or as `recordedName` has it; the type as in `AAAA`. */
  onQuestion(name: string, type: string): void;
  /** Every synthetic address is taken and a name went without. */
  onExhausted(): void;
}

export function createStub(options: Options): Stub {
  const { synthetic, onQuestion, onExhausted } = options;
  const { ttl } = synthetic;
  const REFUSED: Answer = { rcode: RCODE.refused, ttl };
  const NO_DATA: Answer = { rcode: RCODE.noError, ttl };

  const addressAnswer = (name: string, family: 4 | 6): Answer => {
    // This machine, which inside the fence means the fence.
    if (isLocalhost(name)) return { rcode: RCODE.noError, addresses: [LOOPBACK[family]], ttl };
    const address = synthetic.addressFor(name, family);
    if (address !== null) return { rcode: RCODE.noError, addresses: [address], ttl };
    onExhausted();
    return { rcode: RCODE.servFail, ttl };
  };

  const pointerAnswer = (name: string): Answer => {
    const address = addressOfReverseName(name);
    if (address === null || !synthetic.covers(address)) return REFUSED;
    const host = synthetic.nameOf(address);
    return host === null ? { rcode: RCODE.nxDomain, ttl } : { rcode: RCODE.noError, ptr: host, ttl };
  };

  const answerTo = (question: Question): Answer => {
    const host = parseHost(question.name);
    if (question.edns !== null && question.edns.version !== 0) return { rcode: RCODE.badVers, ttl };
    if (question.class !== CLASS_IN || host?.kind !== 'name') return REFUSED;
    switch (question.type) {
      case TYPE.A:
        return addressAnswer(host.name, 4);
      case TYPE.AAAA:
        return addressAnswer(host.name, 6);
      // The name has none: no keys for an encrypted ClientHello, no hint at QUIC or at other addresses (RFC 9460).
      case TYPE.HTTPS:
      case TYPE.SVCB:
        return NO_DATA;
      case TYPE.PTR:
        return pointerAnswer(host.name);
      default:
        return REFUSED;
    }
  };

  return {
    answer(message, transport) {
      const parsed = parseQuestion(message);
      const asked = parsed.state === 'value' ? parsed.value : parsed.asked;
      // Refused or not: what carries data away may take any form.
      if (asked !== undefined) onQuestion(recordedName(asked.name), typeName(asked.type));
      if (parsed.state === 'malformed') return parsed.reply;
      return writeAnswer(parsed.value, answerTo(parsed.value), transport);
    },
  };
}

/**
 * A name as it is recorded. Of one that no host has, `(?.example.com)` with as much of its end as a host could have. What
 * carries data away has to end in its owner's domain.
 */
function recordedName(name: string): string {
  const host = parseHost(name);
  if (host?.kind === 'name') return host.name;
  for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
    const end = parseHost(name.slice(dot + 1));
    if (end?.kind === 'name') return `(?.${end.name})`;
  }
  return OTHER_HOSTS;
}
