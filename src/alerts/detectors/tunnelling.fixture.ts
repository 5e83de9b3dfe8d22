/**
 * Names as tunnel tools ask for them, made after the tools' own encodings: iodine (protocol 0x502: a command letter, a
 * header of five base 32 characters, data in base 32, up to 200 octets), dnscat2 (hexadecimal packets in labels of up to
 * 60, the encrypted kind), dns2tcp (base 64 in labels of 63, then the resource's domain), and scripts that send a file in
 * pieces. Random, with a seed.
 */

export interface Question {
  host: string;
  type: string;
  /** Milliseconds from the beginning. */
  at: number;
}

const BASE32 = 'abcdefghijklmnopqrstuvwxyz012345';
const BASE64 = 'abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz0123456789-_';
const HEX = '0123456789abcdef';

/** mulberry32. */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const text = (random: () => number, alphabet: string, length: number) =>
  Array.from({ length }, () => alphabet[Math.floor(random() * alphabet.length)]).join('');
const labels = (data: string, length: number) => data.match(new RegExp(`.{1,${length}}`, 'g'))!.join('.');

type Tool = (random: () => number, packet: number, domain: string) => Omit<Question, 'at'>;

export const TOOLS: Record<string, { interval: number; ask: Tool }> = {
  'iodine, sending': {
    interval: 60,
    ask: (random, packet, domain) => {
      const header = `${HEX[packet % 16]}${text(random, BASE32, 5)}`;
      return { host: `${labels(header + text(random, BASE32, 180), 57)}.${domain}`, type: 'NULL' };
    },
  },
  'iodine, idle': {
    interval: 4_000,
    ask: (random, _, domain) => ({ host: `p${text(random, BASE32, 12)}.${domain}`, type: 'NULL' }),
  },
  'dnscat2, idle': {
    interval: 1_000,
    ask: (random, _, domain) => ({ host: `${text(random, HEX, 34)}.${domain}`, type: 'TXT' }),
  },
  'dnscat2, sending': {
    interval: 300,
    ask: (random, _, domain) => ({ host: `${labels(text(random, HEX, 180), 60)}.${domain}`, type: 'CNAME' }),
  },
  dns2tcp: {
    interval: 100,
    ask: (random, _, domain) => ({
      host: `${labels(`a${text(random, BASE64, 90)}a`, 62).replace(/-\./g, 'a.')}.${domain}`,
      type: 'TXT',
    }),
  },
  'a script, hexadecimal': {
    interval: 500,
    ask: (random, packet, domain) => ({ host: `${packet}.${text(random, HEX, 30)}.x.${domain}`, type: 'A' }),
  },
  'a script, base 32, one a minute': {
    interval: 60_000,
    ask: (random, _, domain) => ({ host: `${text(random, BASE32, 32)}.${domain}`, type: 'A' }),
  },
  'a script, short pieces': {
    interval: 1_000,
    ask: (random, packet, domain) => ({ host: `${packet}-${text(random, HEX, 14)}.${domain}`, type: 'A' }),
  },
  'a script, plain text': {
    interval: 1_000,
    ask: (random, _, domain) => {
      const words = 'password secret token the account customer number openai key private invoice'.split(' ');
      const said = Array.from({ length: 10 }, () => words[Math.floor(random() * words.length)]).join('-');
      return {
        host: `${labels(said, 60)
          .replace(/-\.|\.-/g, '.')
          .replace(/-$/, '')}.${domain}`,
        type: 'A',
      };
    },
  },
};

export function* questionsOf(tool: string, seed: number, most: number): Generator<Question> {
  const { interval, ask } = TOOLS[tool]!;
  const random = randomFrom(seed);
  const domain = `t${seed % 10}.${text(random, BASE32.slice(0, 26), 8)}.${['com', 'net', 'co.uk', 'xyz'][seed % 4]}`;
  for (let packet = 0; packet < most; packet++)
    yield { ...ask(random, packet, domain), at: packet * interval };
}
