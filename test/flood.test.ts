/** What an agent can pour out: nothing of it may fill the disk, the memory or the terminal, nor reach another agent. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { finish, inRig, openWorld, type World } from './rig/world.ts';

const HOSTS = 6_000;
const QUESTIONS = 20_000;
const PACKETS = 20_000;
const CALM_REQUESTS = 200;

/** Questions, then refusals, then packets: as many different ones as it takes. */
const FLOOD = `
import socket, struct
server = [line.split()[1] for line in open("/etc/resolv.conf") if line.startswith("nameserver")][0]
dns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); dns.settimeout(2); dns.connect((server, 53))
def ask(name, id):
  labels = b"".join(bytes([len(l)]) + l.encode() for l in name.split("."))
  dns.send(struct.pack(">HHHHHH", id & 65535, 256, 1, 0, 0, 0) + labels + b"\\0\\0\\1\\0\\1")
  return dns.recv(512)
for i in range(${QUESTIONS}): ask(f"q{i}.tunnel{i % 7}.test", i)
for i in range(${HOSTS}):
  address = socket.inet_ntoa(ask(f"h{i}.flood{i}.test", i)[-4:])
  s = socket.socket(); s.settimeout(5)
  try:
    s.connect((address, 22)); s.recv(1)
  except OSError: pass
  s.close()
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(${PACKETS}):
  try: udp.sendto(b"x", (f"203.0.113.{i % 250}", 1024 + i))
  except OSError: pass
print("done")
`;

/** Prints how long each answer took, milliseconds. */
const CALM = `
import time, urllib.request
for i in range(${CALM_REQUESTS}):
  start = time.monotonic()
  assert urllib.request.urlopen("http://allowed.test/hello").read().startswith(b"hello")
  print(round((time.monotonic() - start) * 1000), flush=True)
`;

/** The most memory that a process has had so far, octets (proc_pid_status(5)); 0 where it has ended. */
function peakOf(pid: number): number {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

const MEGABYTE = 1 << 20;

describe.skipIf(!inRig)('a flood from inside', () => {
  let world: World;
  beforeAll(async () => {
    world = await openWorld();
  });
  afterAll(() => world.close());

  const statsOf = async (agent: string) =>
    JSON.parse((await world.clawctl(['stats', '--json', '--agent', agent])).stdout) as Record<string, number>;

  test('is bounded and counted to the last, and another agent does not notice', async () => {
    const as = (agent: string) => ({ flags: ['--agent', agent] });
    const flood = world.start('version: 1\n', ['python3', '-c', FLOOD], as('flooder'));
    const calm = world.start('version: 1\nallow: [allowed.test]\n', ['python3', '-c', CALM], as('calm'));
    let memory = 0;
    const watching = setInterval(() => {
      memory = Math.max(memory, peakOf(flood.pid));
    }, 50);
    const [flooded, undisturbed] = await Promise.all([finish(flood), finish(calm)]);
    clearInterval(watching);

    expect(flooded.stdout).toBe('done\n');
    expect(flooded.stderr.split('\n').length).toBeLessThan(30);
    expect(memory).toBeGreaterThan(0);
    expect(memory).toBeLessThan(256 * MEGABYTE);
    const store = join(world.environment.XDG_STATE_HOME!, 'clawctl/egress.db');
    const sizes = [store, `${store}-wal`].map((file) => statSync(file, { throwIfNoEntry: false })?.size ?? 0);
    expect(sizes[0]! + sizes[1]!).toBeLessThan(16 * MEGABYTE);

    const { requests, allowed, blocked, hosts } = await statsOf('flooder');
    expect({ requests, allowed, blocked }).toEqual({
      requests: HOSTS + PACKETS,
      allowed: 0,
      blocked: HOSTS + PACKETS,
    });
    // A thousand hosts and as many domains in a minute are kept by name, and this may span two.
    expect(hosts).toBeLessThan(4_100);
    expect(flooded.stderr).toContain(`made ${HOSTS + PACKETS} requests`);

    const waits = undisturbed.stdout.trim().split('\n').map(Number);
    expect(waits).toHaveLength(CALM_REQUESTS);
    expect(Math.max(...waits)).toBeLessThan(2_000);
    expect(await statsOf('calm')).toMatchObject({
      requests: CALM_REQUESTS,
      allowed: CALM_REQUESTS,
      blocked: 0,
      hosts: 1,
    });
    expect(world.sink.arrivals).toEqual([]);
    expect(world.nameServer.questions.filter((name) => name !== 'allowed.test')).toEqual([]);
  }, 60_000);
});
