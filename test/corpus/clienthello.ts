/** ClientHellos that were seen to fool somebody, by name; what is behind `gen` in a case, and more of the same. */
import { createHash } from 'node:crypto';

const u8 = (n: number) => Buffer.of(n & 255);
const u16 = (n: number) => Buffer.of((n >> 8) & 255, n & 255);
const u24 = (n: number) => Buffer.of((n >> 16) & 255, (n >> 8) & 255, n & 255);
const cat = (...parts: Uint8Array[]) => Buffer.concat(parts);
const sized = (bytes: Uint8Array) => cat(u16(bytes.length), bytes);
const extension = (type: number, data: Uint8Array) => cat(u16(type), sized(data));

interface NameEntry {
  type?: number;
  name: string | Uint8Array;
}

function serverName(...names: (string | Uint8Array | NameEntry)[]): Buffer {
  const entries = names.map((each) => {
    const { type = 0, name } =
      typeof each === 'string' || each instanceof Uint8Array ? { name: each } : (each as NameEntry);
    return cat(u8(type), sized(typeof name === 'string' ? Buffer.from(name, 'latin1') : name));
  });
  return extension(0, sized(cat(...entries)));
}

/** What every client sends: TLS 1.3, groups, signatures, a key share. */
function usual(): Buffer[] {
  const key = createHash('sha256').update('x25519').digest();
  return [
    extension(43, cat(u8(4), u16(0x0304), u16(0x0303))),
    extension(10, cat(u16(4), u16(0x1d), u16(0x17))),
    extension(13, sized(cat(...[0x0403, 0x0804, 0x0401, 0x0503, 0x0805].map(u16)))),
    extension(11, Buffer.of(1, 0)),
    extension(51, sized(cat(u16(0x1d), sized(key)))),
  ];
}

const padding = (length: number) => extension(21, Buffer.alloc(length));

interface Lies {
  extensionsLength?: number;
  type?: number;
  length?: number;
}

/** The handshake message. Null: no block of extensions at all. */
function hello(extensions: Buffer[] | null, lies: Lies = {}): Buffer {
  const block = extensions === null ? null : cat(...extensions);
  const tail = block === null ? Buffer.alloc(0) : cat(u16(lies.extensionsLength ?? block.length), block);
  const body = cat(
    ...[u16(0x0303), Buffer.alloc(32, 7), u8(32), Buffer.alloc(32, 9)],
    ...[u16(6), u16(0x1301), u16(0x1302), u16(0xc02f), Buffer.of(1, 0), tail],
  );
  return cat(u8(lies.type ?? 1), u24(lies.length ?? body.length), body);
}

/** In records, cut at the given places and wherever a record would be too long. */
function records(handshake: Buffer, cuts: readonly number[] = [], version = 0x0301): Buffer {
  const ends = [...cuts, handshake.length];
  for (let at = 16_384; at < handshake.length; at += 16_384) if (cuts.length === 0) ends.push(at);
  ends.sort((a, b) => a - b);
  return cat(
    ...ends.map((end, i) => cat(u8(22), u16(version), sized(handshake.subarray(ends[i - 1] ?? 0, end)))),
  );
}

const GOOD = 'allowed.test';
const EVIL = 'evil.test';
const named = (...names: (string | Uint8Array | NameEntry)[]) =>
  records(hello([serverName(...names), ...usual()]));
const evilFirst = () => hello([serverName(EVIL), ...usual()]);
const evilLast = (...before: Buffer[]) => hello([...usual(), ...before, serverName(EVIL)]);

export const helloTo = (name: string | null): Buffer =>
  name === null ? records(hello(usual())) : named(name);

const ECH = extension(
  0xfe0d,
  cat(u8(0), u16(1), u16(1), u8(7), sized(Buffer.alloc(32, 3)), sized(Buffer.alloc(208, 5))),
);

export const HELLOS: Record<string, () => Buffer> = {
  ok: () => named(GOOD),
  evil: () => named(EVIL),
  none: () => records(hello(usual())),
  'no-exts': () => records(hello(null)),
  upper: () => named('ALLOWED.TEST'),
  dot: () => named('allowed.test.'),
  ip: () => named('169.254.169.254'),
  nul: () => named('evil.test\0.allowed.test'),
  nul2: () => named('allowed.test\0.evil.test'),
  'two-names': () => named(GOOD, EVIL),
  'same-name-twice': () => named(GOOD, GOOD),
  'two-exts': () => records(hello([serverName(GOOD), serverName(EVIL), ...usual()])),
  'evil-ext-last': () => records(hello([serverName(GOOD), ...usual(), serverName(EVIL)])),
  'type1-first': () => named({ type: 1, name: GOOD }, EVIL),
  'type1-only': () => named({ type: 1, name: GOOD }),
  'empty-name': () => named(''),
  'empty-list': () => records(hello([extension(0, u16(0)), ...usual()])),
  'empty-ext': () => records(hello([extension(0, Buffer.alloc(0)), ...usual()])),
  'list-too-short': () =>
    records(hello([extension(0, cat(u16(3), u8(0), sized(Buffer.from(GOOD)))), ...usual()])),
  'list-with-tail': () =>
    records(hello([extension(0, cat(u16(15), u8(0), sized(Buffer.from(GOOD)), u16(7))), ...usual()])),
  utf8: () => named(Buffer.from('evil。test')),
  'utf8-allowed': () => named(Buffer.from('allowed。test')),
  crlf: () => named('allowed.test\r\nX: y'),
  star: () => named('*.allowed.test'),
  below: () => named('a.allowed.test'),
  above: () => named('test'),
  space: () => named('allowed.test '),
  slash: () => named('evil.test/.allowed.test'),
  percent: () => named('allowed%2etest'),
  port: () => named('allowed.test:443'),
  user: () => named('allowed.test@evil.test'),
  'two-dots': () => named('allowed.test..'),
  underscore: () => named('a_b.allowed.test'),
  len256: () => named(`${'a.'.repeat(128)}allowed.test`),
  'frag-rec-2': () => records(evilLast(), [40]),
  'frag-rec-1byte': () => records(evilLast(), [evilLast().length - 1]),
  'frag-in-header': () => records(evilLast(), [2]),
  'frag-in-name': () => {
    const message = hello([serverName(EVIL), ...usual()]);
    return records(message, [message.indexOf(EVIL) + 4]);
  },
  'frag-each-byte': () =>
    records(
      evilFirst(),
      [...Array(evilFirst().length - 1).keys()].map((n) => n + 1),
    ),
  'zero-len-rec-first': () => cat(Buffer.of(22, 3, 1, 0, 0), named(EVIL)),
  'zero-len-rec-between': () => {
    const message = evilLast();
    const first = records(message.subarray(0, 40));
    return cat(first, Buffer.of(22, 3, 1, 0, 0), records(message.subarray(40)));
  },
  'alert-first': () => cat(Buffer.of(21, 3, 1, 0, 2, 1, 0), named(EVIL)),
  'alert-between': () => {
    const message = evilLast();
    const first = records(message.subarray(0, 40));
    return cat(first, Buffer.of(21, 3, 1, 0, 2, 1, 0), records(message.subarray(40)));
  },
  'ccs-first': () => cat(Buffer.of(20, 3, 3, 0, 1, 1), named(EVIL)),
  'data-first': () => cat(Buffer.of(23, 3, 3, 0, 1, 1), named(EVIL)),
  'rec-ver-0300': () => records(evilFirst(), [], 0x0300),
  'rec-ver-0304': () => records(evilFirst(), [], 0x0304),
  'rec-ver-0x0505': () => records(evilFirst(), [], 0x0505),
  'rec-ver-0x0200': () => records(hello([serverName(GOOD), ...usual()]), [], 0x0200),
  'sni-after-1024': () => records(evilLast(padding(1_500))),
  'sni-after-16k': () => records(evilLast(padding(17_000))),
  'sni-after-60k': () => records(evilLast(padding(60_000))),
  'too-large': () => records(hello([serverName(GOOD), ...usual(), padding(65_000)])),
  'ech-grease': () => records(hello([serverName(GOOD), ...usual(), ECH])),
  'ech-evil-outer': () => records(hello([serverName(EVIL), ...usual(), ECH])),
  'esni-old': () => records(hello([serverName(GOOD), ...usual(), extension(0xffce, Buffer.alloc(100, 1))])),
  'hs-len-short': () => records(hello([serverName(GOOD), ...usual()], { length: 20 })),
  'hs-len-long': () => records(hello([serverName(GOOD), ...usual()], { length: 0xffffff })),
  'ext-len-over': () => records(hello([serverName(GOOD), ...usual()], { extensionsLength: 65_535 })),
  'ext-len-under': () => records(hello([serverName(GOOD), ...usual()], { extensionsLength: 4 })),
  'sslv2-hello': () =>
    Buffer.from(`802e0100020015000000100100800200800300800400800500800700c0${'00'.repeat(30)}`, 'hex'), // prettier-ignore
  'two-hellos': () => cat(named(GOOD), named(EVIL)),
  'two-hellos-one-record': () =>
    records(cat(hello([serverName(GOOD), ...usual()]), hello([serverName(EVIL), ...usual()]))),
  serverhello: () => records(hello([serverName(GOOD), ...usual()], { type: 2 })),
  http: () => Buffer.from('GET / HTTP/1.1\r\nHost: allowed.test\r\n\r\n'),
  'http-evil': () => Buffer.from('GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n'),
  ssh: () => Buffer.from('SSH-2.0-OpenSSH_9.7\r\n'),
  '0x16-garbage': () => Buffer.of(0x16, 3, 1, 0, 5, 1, 2, 3, 4, 5),
  'alpn-h2': () =>
    records(
      hello([
        serverName(GOOD),
        ...usual(),
        extension(
          16,
          sized(cat(...['h2', 'http/1.1'].map((each) => cat(u8(each.length), Buffer.from(each))))),
        ),
      ]),
    ),
};
