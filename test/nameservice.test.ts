/** The name server inside a fence: it answers from memory, and whatever is asked, nobody outside hears of it. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as packet from 'dns-packet';
import { finish, inRig, openWorld, type World } from './rig/world.ts';

const POLICY = 'version: 1\nallow: [allowed.test, "*.wide.test"]\n';

/** Sends each message (hex) over UDP, then over TCP, and prints the answers, null where there was none. */
const ASK = `
import json, socket, struct, sys
def udp(message):
  s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(0.5)
  try: s.sendto(message, ("127.0.0.1", 53)); return s.recv(65535).hex()
  except OSError: return None
def tcp(message):
  s = socket.create_connection(("127.0.0.1", 53), 1); got = b""
  try:
    s.sendall(struct.pack(">H", len(message)) + message)
    while len(got) < 2 or len(got) < 2 + struct.unpack(">H", got[:2])[0]:
      piece = s.recv(65535)
      if not piece: return None
      got += piece
    return got[2:].hex()
  except OSError: return None
  finally: s.close()
messages = [bytes.fromhex(m) for m in json.load(open(sys.argv[1]))]
print(json.dumps([[f(m) for m in messages] for f in (udp, tcp)]))
`;

type Record = { type: string; data: string; ttl: number };
const decode = (hex: string | null) => (hex === null ? null : packet.decode(Buffer.from(hex, 'hex')));
const rcode = (hex: string | null) => (hex === null ? null : Number.parseInt(hex.slice(6, 8), 16) & 15);

const question = (name: string, type: string, klass = 'IN') =>
  Buffer.from(
    packet.encode({
      type: 'query',
      id: 7,
      flags: packet.RECURSION_DESIRED,
      questions: [{ name, type, class: klass } as never],
    }),
  ).toString('hex');

const header = (flags: string, counts = '0001000000000000') => `1234${flags}${counts}`;
const ALLOWED = '07616c6c6f77656404746573740000010001';

describe.skipIf(!inRig)('the name server inside a fence', () => {
  let world: World;
  beforeAll(async () => {
    world = await openWorld();
  });
  afterAll(() => world.close());

  const python = async (script: string, ...args: string[]) => {
    const done = await finish(world.start(POLICY, ['python3', '-c', script, ...args]));
    expect([done.code, done.stderr.includes('Traceback')]).toEqual([0, false]);
    return done.stdout;
  };
  let files = 0;
  const ask = async (messages: string[]): Promise<Array<Array<string | null>>> => {
    const file = join(world.workspace, `questions-${files++}.json`);
    writeFileSync(file, JSON.stringify(messages));
    return JSON.parse(await python(ASK, file)) as Array<Array<string | null>>;
  };

  test('gives every name an address of its own, allowed or not, over UDP and TCP alike', async () => {
    const names = ['allowed.test', 'evil.test', 'ALLOWED.test', 'a_b.wide.test', 'x'];
    const asked = names.flatMap((name) => [question(name, 'A'), question(name, 'AAAA')]);
    const [udp, tcp] = await ask(asked);
    expect(udp).toEqual(tcp!);
    const data = udp!.map((hex) => (decode(hex)!.answers as Record[]).map((each) => each.data));
    for (const [i, addresses] of data.entries())
      expect([names[i >> 1], addresses]).toEqual([
        names[i >> 1],
        [expect.stringMatching(i % 2 === 0 ? /^198\.1[89]\./ : /^fd/)],
      ]);
    expect(data[0]).toEqual(data[4]!); // letter case makes no other name
    expect(new Set(data.flat()).size).toBe(8);
    expect(decode(udp![4]!)!.questions![0]!.name).toBe('ALLOWED.test');
  });

  test('gives nothing else away, and carries nothing', async () => {
    const none = ['HTTPS', 'SVCB'].map((type) =>
      question('allowed.test', { HTTPS: 'UNKNOWN_65', SVCB: 'UNKNOWN_64' }[type]!),
    );
    const types = [
      'TXT',
      'MX',
      'NS',
      'SOA',
      'SRV',
      'NAPTR',
      'CNAME',
      'CAA',
      'DS',
      'DNSKEY',
      'NULL',
      'ANY',
      'AXFR',
      'UNKNOWN_65280',
    ];
    const refused = [
      ...types.map((type) => question('allowed.test', type)),
      question('allowed.test', 'A', 'CH'),
      question('.', 'NS'),
      question('1.113.0.203.in-addr.arpa', 'PTR'),
    ];
    const [udp, tcp] = await ask([...none, ...refused]);
    expect(udp).toEqual(tcp!);
    expect(udp!.slice(0, 2).map(rcode)).toEqual([0, 0]);
    expect(udp!.slice(2).map(rcode)).toEqual(refused.map(() => 5));
    for (const hex of udp!) expect(decode(hex)!.answers).toEqual([]);
  });

  test('answers what is malformed with an error or not at all, and goes on', async () => {
    const messages = [
      '',
      '12',
      header('0100').slice(0, 20),
      header('8180') + ALLOWED,
      header('2800') + ALLOWED,
      header('0100', '0002000000000000') + ALLOWED,
      header('0100', '0000000000000000'),
      header('0100', '0001000100000000') + ALLOWED,
      `${header('0100')}c00c00010001`,
      `${header('0100')}3f616263`,
      `${header('0100')}40${'61'.repeat(64)}0000010001`,
      `${header('0100')}0b6576696ce3808274657374${ALLOWED}`,
      `${header('0100')}1c3c696d67207372633d78206f6e6572726f723d616c6572742831293e${ALLOWED}`,
      `${header('0100')}041b5d3b07${ALLOWED}`,
      `${header('0100') + ALLOWED}00`,
      `${header('0100')}${'0161'.repeat(130)}0000010001`,
      'ff'.repeat(512),
      '00'.repeat(12),
    ];
    const [udp, tcp] = await ask([...messages, header('0100') + ALLOWED]);
    for (const answers of [udp!, tcp!]) {
      const last = answers.pop()!;
      expect(rcode(last)).toBe(0);
      for (const [i, hex] of answers.entries())
        expect([messages[i], hex === null || (rcode(hex)! > 0 && hex.slice(12, 16) === '0000')]).toEqual([
          messages[i],
          true,
        ]);
    }
  });

  test('is not stopped by a flood, a lying length, a slow talker or one that does not listen', async () => {
    const script = `
import socket, struct, time
q = bytes.fromhex("${header('0100') + ALLOWED}")
framed = struct.pack(">H", len(q)) + q
liar = socket.create_connection(("127.0.0.1", 53)); liar.sendall(b"\\xff\\xff" + q)
liar.settimeout(2)
try: print("liar", len(liar.recv(10)))
except socket.timeout: print("liar is waited for")
except OSError: print("liar", 0)
silent = [socket.create_connection(("127.0.0.1", 53)) for _ in range(100)]
for s in silent[:20]: s.send(b"\\0")
for s in silent: s.close()
deaf = socket.create_connection(("127.0.0.1", 53)); deaf.settimeout(0.2)
try:
  for _ in range(20000): deaf.sendall(framed)
except OSError: pass
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(20000):
  n = b"%05d" % i
  u.sendto(bytes.fromhex("${header('0100')}") + bytes([5]) + n + bytes.fromhex("046576696c04746573740000010001"), ("127.0.0.1", 53))
pipelined = socket.create_connection(("127.0.0.1", 53)); pipelined.settimeout(5)
pipelined.sendall(framed * 500)
got = b""
while len(got) < 500 * (len(framed) + 16): got += pipelined.recv(65536)
print("pipelined", len(got) // (len(framed) + 16))
print("then", socket.getaddrinfo("allowed.test", 443, socket.AF_INET)[0][4][0][:4])`;
    expect((await python(script)).trim().split('\n')).toEqual(['liar 0', 'pipelined 500', 'then 198.']);
  });

  test('runs out of addresses for the session that asks too much, and for no other', async () => {
    const script = `
import socket, struct
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.settimeout(2)
codes = {}
def ask(n):
  u.sendto(b"\\x12\\x34\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0" + bytes([len(n)]) + n + b"\\4evil\\4test\\0\\0\\1\\0\\1", ("127.0.0.1", 53))
def take():
  code = u.recv(512)[3] & 15; codes[code] = codes.get(code, 0) + 1
for i in range(0, 33000, 50):
  for j in range(50): ask(b"n%d" % (i + j))
  for j in range(50): take()
print(codes.get(0), codes.get(2))`;
    const [counts] = (await python(script)).split('\n');
    const [given, failed] = counts!.split(' ').map(Number);
    expect(given! + failed!).toBe(33_000);
    expect(failed).toBeGreaterThan(0);
    expect(given).toBeLessThanOrEqual(32_768);
    const other = await world.fenced(POLICY, ['curl', '-sS', 'https://allowed.test/hello']);
    expect(other.stdout).toStartWith('hello');
  });

  test('never asked anybody outside', () => {
    expect(world.nameServer.questions.filter((name) => name !== 'allowed.test')).toEqual([]);
    expect(world.sink.arrivals).toEqual([]);
  });
});
