/** How soon tunnels are found, and what ordinary names are taken for one. docs/alerts.md has the figures printed here. */
import { describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import { createQuestionLog } from '../../dns/questions.ts';
import { createStub } from '../../dns/stub.ts';
import { createSyntheticAddresses } from '../../dns/synthetic.ts';
import type { StoredEvent } from '../../events/row.ts';
import { parseHost } from '../../names/host.ts';
import { registrableDomain } from '../../names/suffix.ts';
import { coded } from './coded.ts';
import { createTunnels } from './tunnel.ts';
import { questionsOf, randomFrom, TOOLS } from './tunnelling.fixture.ts';

const BEGIN = Date.UTC(2026, 0, 5, 9, 0);
const question = (host: string, at = 0, count = 1, agent = 'bot') =>
  ({
    kind: 'question',
    sequence: 1,
    time: BEGIN + at,
    agent,
    session: 's',
    host,
    type: 'A',
    count,
  }) as StoredEvent;

/** How many questions until the first finding; null: none among them. */
function foundAfter(questions: Iterable<{ host: string; at: number }>): number | null {
  const detector = createTunnels();
  let asked = 0;
  for (const { host, at } of questions) {
    asked++;
    if (detector.see(question(host, at)) !== null) return asked;
  }
  return null;
}

describe('a tunnel is found', () => {
  const limits: Record<string, number> = { 'iodine, idle': 30, 'a script, short pieces': 40 };
  test.each(Object.keys(TOOLS))('%s', (tool) => {
    const after = Array.from({ length: 50 }, (_, seed) => foundAfter(questionsOf(tool, seed, 1_000)));
    expect(after).not.toContain(null);
    const most = Math.max(...(after as number[]));
    console.log(`${tool}: 50 of 50, after ${Math.min(...(after as number[]))} to ${most} questions`);
    expect(most).toBeLessThanOrEqual(limits[tool] ?? 20);
  });

  test('by the number of names alone, folded ones included', () => {
    const words = Array.from({ length: 1_500 }, (_, i) => ({ host: `word${i}.example.com`, at: i * 1_000 }));
    expect(foundAfter(words)).toBeLessThanOrEqual(1_100);
    const detector = createTunnels();
    expect(detector.see(question('(example.com)', 0, 999))).toBe(null);
    expect(detector.see(question('(example.com)', 0, 10))).toMatchObject({
      host: 'example.com',
      value: 1_009,
    });
    expect(detector.see(question('(other)', 0, 10_000))).toBe(null);
  });

  test('across half hours, but not across days', () => {
    const slow = (interval: number) =>
      foundAfter(
        [...questionsOf('a script, base 32, one a minute', 7, 60)].map((q, i) => ({
          ...q,
          at: i * interval,
        })),
      );
    expect(slow(150_000)).toBeLessThan(30);
    expect(slow(86_400_000)).toBe(null);
  });

  test('by different names, not by the same ones in the next half hour', () => {
    const names = [...questionsOf('dnscat2, idle', 3, 9)].map(({ host }) => host);
    expect(foundAfter([0, 1_800_000].flatMap((at) => names.map((host) => ({ host, at }))))).toBe(null);
  });

  test('for each agent by itself', () => {
    const detector = createTunnels();
    const names = [...questionsOf('dnscat2, idle', 3, 18)].map(({ host }) => host);
    for (const [i, host] of names.entries())
      expect(detector.see(question(host, i, 1, i % 2 === 0 ? 'a' : 'b'))).toBe(null);
  });
});

describe('a real tool is found through the stub,', async () => {
  const captures = await Bun.file(join(import.meta.dir, 'captures.fixture.json')).json();

  /** Asks the stub as the tool did, and answers how many questions it took. */
  function asked(questions: readonly [at: number, name: string, type: number][]): number | null {
    const detector = createTunnels();
    let time = BEGIN;
    let found = false;
    const note = (row: object) => {
      found ||= detector.see({ sequence: 1, count: 1, ...row } as StoredEvent) !== null;
    };
    const clock = { now: () => time, monotonic: () => time };
    const log = createQuestionLog({ clock, agent: 'bot', session: 's', note });
    const synthetic = createSyntheticAddresses({ clock });
    const stub = createStub({ synthetic, onQuestion: log.asked, onExhausted() {} });
    for (const [i, [at, name, type]] of questions.entries()) {
      time = BEGIN + at;
      stub.answer(messageOf(name, type), 'udp');
      if (found) return i + 1;
    }
    time += 60_000;
    log.close();
    return found ? questions.length : null;
  }

  function messageOf(name: string, type: number): Uint8Array {
    const labels = name.split('.').flatMap((label) => [label.length, ...Buffer.from(label, 'latin1')]);
    return Uint8Array.of(0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...labels, 0, type >> 8, type & 255, 0, 1);
  }

  test.each(Object.keys(captures).filter((key) => key !== 'source'))('%s', (tool) => {
    const after = asked(captures[tool]);
    console.log(`real: ${tool}: after ${after} of ${captures[tool].length} questions`);
    expect(after).not.toBe(null);
  });

  test('but not printers with names like sentences, nor a slip', () => {
    const printers = Array.from({ length: 9 }, (_, i) => `Printer ${i} (hall)._ipp._tcp.local`);
    const slips = ['a b.example.com', '*.example.com', '1.2.3.4'];
    expect(asked([...printers, ...slips].map((name, i) => [i * 1_000, name, 1]))).toBe(null);
  });
});

describe('ordinary names are no tunnel', async () => {
  const real = (await Bun.file(join(import.meta.dir, '../../names/realhosts.fixture.txt')).text())
    .split('\n')
    .filter((line) => parseHost(line)?.kind === 'name' && !line.startsWith('#'));

  test('all of the real ones, looked up within an hour', () => {
    const detector = createTunnels();
    const found = new Set<string>();
    for (const [i, host] of real.entries()) {
      const finding = detector.see(question(host, (i * 3_599_000) / real.length));
      if (finding !== null) found.add(finding.host!);
    }
    const domains = new Set(real.map((host) => registrableDomain(host))).size;
    console.log(`false: ${found.size} of ${domains} domains (${real.length} names): ${[...found].join(' ')}`);
    expect(found.size / domains).toBeLessThanOrEqual(0.001);
  });

  test('and few of them look coded', () => {
    const before = real.map((host) => host.slice(0, -(registrableDomain(host) ?? host).length - 1));
    const found = before.filter(coded);
    console.log(
      `coded: ${found.length} of ${before.filter((text) => text !== '').length}: ${found.join(' ')}`,
    );
    expect(found.length / before.length).toBeLessThan(0.002);
  });

  test.each([
    ['the same name again and again', () => 'a8f3k2l9d0s7x6c5v4b3.example.com'],
    ['reverse lookups', (i: number) => `${i % 256}.${i % 199}.2.10.in-addr.arpa`],
    ['services by number', (i: number) => `web-${i % 300}.prod.example.com`],
    ['hosts of a cloud', (i: number) => `ip-10-0-${i % 100}-${i % 4}.eu-west-1.compute.internal`],
    ['shards of an ingest', (i: number) => `o${450_000 + (i % 40)}.ingest.example.io`],
    ['mirrors', (i: number) => `${['us', 'de', 'fr', 'jp'][i % 4]}.mirror${i % 12}.debian.example.org`],
    [
      'video caches',
      (i: number) => `r${i % 5}---sn-${['4g5e', 'h5qz', 'a5me'][i % 3]}dn${i % 3}l.video.example.com`,
    ],
    [
      'buckets',
      (i: number) =>
        `${['logs', 'assets', 'user-uploads-prod', 'backup-2026-01'][i % 4]}-${i % 20}.s3.example.com`,
    ],
  ])('%s', (_, name) => {
    const asked = Array.from({ length: 2_000 }, (_, i) => ({ host: name(i), at: i * 500 }));
    expect(foundAfter(asked)).toBe(null);
  });
});

test('memory stays within bounds, and a tunnel is still found in a flood of domains', () => {
  const detector = createTunnels();
  const random = randomFrom(1);
  const tunnel = questionsOf('dnscat2, sending', 5, 100);
  let found = false;
  for (let i = 0; i < 50_000; i++) {
    detector.see(question(`w${i}.example${Math.floor(random() * 1e9)}.com`, i));
    if (i % 700 === 0) found ||= detector.see(question(tunnel.next().value!.host, i)) !== null;
  }
  expect(found).toBe(true);
});
