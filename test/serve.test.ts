/** A gateway for many agents: it lives on when its parts die, stops when it is told, and is replaced unnoticed. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Condition, connectBy, freePort, openService, type Service } from './rig/service.ts';

let service: Service;
let port: number;
beforeEach(() => {
  service = openService();
  port = freePort();
  service.writePolicy(policy());
});
afterEach(() => service.close());

const policy = (more = '', agent = '') => `version: 1
allow:
  - {host: origin.test, ports: [${service.origin}], addresses: [127.0.0.0/8]}
hosts: {origin.test: 127.0.0.1}
agents: {bot: {from: [127.0.0.0/8]${agent}}}
${more}`;
const target = () => `origin.test:${service.origin}`;
const listen = () => ['--listen', `127.0.0.1:${port}`];

async function echo(): Promise<string> {
  const tunnel = await connectBy({ port }, target());
  if (tunnel.answer !== '200') return tunnel.answer;
  const greeting = await tunnel.read();
  tunnel.close();
  return greeting ?? 'nothing';
}

/** Whether anybody listens there. */
const connects = (port: number) =>
  connectBy({ port }, target()).then(
    (tunnel) => {
      tunnel.close();
      return true;
    },
    () => false,
  );

/** Whether a process runs; one that nobody has waited for does not. */
function lives(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

/** Connects all the time until told to stop; the answers that were not the origin's. */
function keepConnecting(clients: number) {
  let stopped = false;
  let count = 0;
  const wrong: string[] = [];
  const one = async () => {
    while (!stopped) {
      const answer = await echo().catch((error: unknown) => String(error));
      count++;
      if (answer !== 'hello\n') wrong.push(answer);
    }
  };
  const all = Array.from({ length: clients }, one);
  return {
    count: () => count,
    async stop() {
      stopped = true;
      await Promise.all(all);
      return wrong;
    },
  };
}

describe('a service', () => {
  test('serves what the policy allows, refuses the rest, and records both', async () => {
    expect((await service.clawctl('status')).code).toBe(4);
    await service.serve(...listen(), '--workers', '2');
    expect(await echo()).toBe('hello\n');
    expect((await connectBy({ port }, 'evil.test:443')).answer).toBe('403 no-rule');
    const status = await service.clawctl('status', '--json');
    expect(status.code).toBe(0);
    expect(JSON.parse(status.out)).toMatchObject({ schema: 'clawctl.egress.status/v1', ready: true });
    const out = await service.saying('"requests":2', 'stats', '--json');
    expect(JSON.parse(out)).toMatchObject({ requests: 2, allowed: 1, blocked: 1, agents: 1 });
  });

  test('listens where the command line says, or the policy, or else on the usual port', async () => {
    const other = freePort();
    const path = join(service.folder, 'proxy.sock');
    service.writePolicy(policy(`listen: ['127.0.0.1:${other}', {address: 'unix:${path}', agent: bot}]`));
    const child = await service.serve(...listen(), '--workers', '2', '--drain', '200ms');
    const { listeners } = await service.condition();
    expect(listeners).toEqual([`proxy 127.0.0.1:${port}`, `proxy 127.0.0.1:${other}`, `proxy unix:${path}`]);
    expect((await connectBy({ port: other }, target())).answer).toBe('200');
    expect((await connectBy({ unix: path }, target())).answer).toBe('200');
    child.kill('SIGTERM');
    expect(await child.exited).toBe(0);
    expect(existsSync(path)).toBe(false);
  });

  test('takes up new listeners of the policy, drops old ones, and leaves the rest alone', async () => {
    const [first, second] = [freePort(), freePort()];
    service.writePolicy(policy(`listen: ['127.0.0.1:${first}']`));
    const child = await service.serve(...listen(), '--workers', '2');
    const tunnel = await connectBy({ port }, target());
    await tunnel.read();
    service.writePolicy(policy(`listen: ['127.0.0.1:${second}']`));
    await child.lines.until(`listens on tcp 127.0.0.1:${second}`);
    await service.until(({ workers }) => workers.every(({ serving }) => serving));
    expect((await connectBy({ port: second }, target())).answer).toBe('200');
    while (await connects(first)) await Bun.sleep(5);
    tunnel.write('still here');
    expect(await tunnel.read()).toBe('still here');
  });

  test('keeps the policy before a broken one, and says so', async () => {
    const child = await service.serve(...listen(), '--workers', '1');
    service.writePolicy('versoin: 1\n');
    await child.lines.until("unknown key 'versoin'");
    expect(await echo()).toBe('hello\n');
    const { ready, problems } = await service.until((condition) => condition.problems.length > 0);
    expect(ready).toBe(true);
    expect(problems[0]).toContain('the policy is broken');
  });

  test('reads its files again when told by SIGHUP', async () => {
    const child = await service.serve(...listen(), '--workers', '2');
    child.kill('SIGHUP');
    await child.lines.until('the policy has changed');
    expect(await echo()).toBe('hello\n');
  });

  test('takes a new certificate when told, and keeps the one before where the new one cannot be read', async () => {
    const path = join(service.folder, 'tls.pem');
    const serial = async () => {
      const script = `openssl s_client -connect 127.0.0.1:${tlsPort} </dev/null 2>/dev/null | openssl x509 -noout -subject`;
      return await new Response(Bun.spawn(['sh', '-c', script]).stdout).text();
    };
    const certify = (name: string) =>
      Bun.spawnSync(
        [
          ...['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
          ...['-subj', `/CN=${name}`, '-days', '1', '-keyout', path, '-out', `${path}.crt`],
        ],
        { stderr: 'ignore' },
      );
    const tlsPort = freePort();
    certify('first');
    service.writePolicy(
      policy(`listen: [{address: '127.0.0.1:${tlsPort}', tls: {certificate: ${path}.crt, key: ${path}}}]`),
    );
    const child = await service.serve('--workers', '1');
    expect(await serial()).toContain('first');
    certify('second');
    child.kill('SIGHUP');
    while (!(await serial()).includes('second')) await Bun.sleep(20);
    writeFileSync(path, 'no key');
    child.kill('SIGHUP');
    await child.lines.until('goes on with the certificate that it had');
    expect(await serial()).toContain('second');
    const { code, err } = await service.clawctl('serve', '--name', 'other');
    expect([code, err]).toEqual([1, expect.stringContaining('in use')]);
    child.kill('SIGKILL');
    await child.exited;
    while (await connects(tlsPort)) await Bun.sleep(5);
    const late = await service.clawctl('serve');
    expect([late.code, late.err]).toEqual([1, expect.stringContaining('cannot be served')]);
  });
});

describe('a worker', () => {
  test.each(['SIGKILL', 'SIGSTOP', 'SIGSEGV'] as const)(
    'that meets %s is replaced within 2 s',
    async (signal) => {
      const child = await service.serve(...listen(), '--workers', '1');
      const before = (await service.condition()).workers[0]!.pid;
      const began = performance.now();
      process.kill(before, signal);
      // Whoever connects meanwhile waits, and is served.
      expect(await echo()).toBe('hello\n');
      expect(performance.now() - began).toBeLessThan(2_000);
      const said = await child.lines.until('worker 0 is started again');
      expect(said).toContain(signal === 'SIGSTOP' ? 'it did not answer' : signal);
      const { workers } = await service.until((condition) => condition.workers[0]!.serving);
      expect(workers[0]).toMatchObject({ restarts: 1 });
      expect(workers[0]!.pid).not.toBe(before);
    },
  );

  test('that dies leaves no connection counted', async () => {
    service.writePolicy(policy('', ', limits: {connections: 2}'));
    await service.serve(...listen(), '--workers', '1');
    const held = await Promise.all([connectBy({ port }, target()), connectBy({ port }, target())]);
    expect(held.map(({ answer }) => answer)).toEqual(['200', '200']);
    expect((await connectBy({ port }, target())).answer).toBe('503 limit-connections');
    const { pid } = (await service.condition()).workers[0]!;
    process.kill(pid, 'SIGKILL');
    await service.until(({ workers }) => workers[0]!.serving && workers[0]!.pid !== pid);
    expect(await echo()).toBe('hello\n');
  });

  test('ends with its supervisor, and nothing is left listening', async () => {
    const child = await service.serve(...listen(), '--workers', '2');
    const { workers } = await service.condition();
    child.kill('SIGKILL');
    await child.exited;
    while (await connects(port)) await Bun.sleep(5);
    await service.serve(...listen(), '--workers', '1'); // the lock and the port are free again
    expect(workers.filter(({ pid }) => lives(pid))).toEqual([]);
  });

  test('is started with nothing of the environment of whoever started the service', async () => {
    const evil = join(service.folder, 'evil.js');
    writeFileSync(evil, `require('fs').writeFileSync('${service.folder}/planted', '')`);
    writeFileSync(join(service.folder, 'bunfig.toml'), `preload = ["${evil}"]\n`);
    writeFileSync(join(service.folder, '.env'), 'NODE_OPTIONS=--require=./evil.js\nPLANTED=1\n');
    Object.assign(service.environment, { BUN_OPTIONS: `--preload=${evil}`, LD_PRELOAD: evil, PLANTED: '1' });
    await service.serve(...listen(), '--workers', '1');
    const { pid } = (await service.condition()).workers[0]!;
    const environment = await Bun.file(`/proc/${pid}/environ`).text();
    expect(environment.split('\0').map((each) => each.split('=')[0])).not.toContain('PLANTED');
    expect(environment).not.toContain(service.folder);
    expect(existsSync(join(service.folder, 'planted'))).toBe(false);
  });
});

describe('limits', () => {
  test('hold across workers', async () => {
    service.writePolicy(policy('', ', limits: {connections: 3}'));
    await service.serve(...listen(), '--workers', '3');
    const answers: string[] = [];
    for (let each = 0; each < 12; each++) answers.push((await connectBy({ port }, target())).answer);
    expect(answers.filter((answer) => answer === '200')).toHaveLength(3);
    expect(new Set(answers.slice(3))).toEqual(new Set(['503 limit-connections']));
  });

  test('of a day are not forgotten by a restart', async () => {
    service.writePolicy(policy('', ', limits: {bytes_up: 1 KB/day}'));
    for (const expected of ['x'.repeat(900), null]) {
      const child = await service.serve(...listen(), '--workers', '1', '--drain', '100ms');
      const tunnel = await connectBy({ port }, target());
      await tunnel.read();
      tunnel.write('x'.repeat(900));
      expect(await tunnel.read()).toBe(expected);
      child.kill('SIGTERM');
      await child.exited;
    }
  });

  test('of a day are not forgotten by a takeover', async () => {
    service.writePolicy(policy('', ', limits: {bytes_up: 1 KB/day}'));
    const first = await service.serve(...listen(), '--workers', '1', '--drain', '1s');
    const tunnel = await connectBy({ port }, target());
    await tunnel.read();
    tunnel.write('x'.repeat(900));
    await tunnel.read();
    const second = await service.serve(...listen(), '--workers', '1', '--takeover');
    await first.exited;
    const other = await connectBy({ port }, target());
    await other.read();
    other.write('x'.repeat(900));
    expect(await other.ended).toBe('reset');
    expect(service.received()).toBe(900);
    second.kill('SIGTERM');
  });
});

describe('a flood', () => {
  /** Milliseconds of processor time that a process has used. */
  const used = (pid: number) => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ');
    return (Number(fields[11]) + Number(fields[12])) * 10;
  };
  const flood = (count: number) =>
    Promise.all(Array.from({ length: count }, () => connectBy({ port }, target()).catch(() => null)));

  test('of connections, beyond the descriptors there are, harms none that is there, and passes', async () => {
    service.writePolicy(policy('', ', limits: {connections: 5000, connections_per_second: 100000}'));
    await service.serveWithin(400, ...listen(), '--workers', '1');
    const held = await connectBy({ port }, target());
    await held.read();
    const others = await flood(600);
    const served = others.filter((tunnel) => tunnel?.answer === '200');
    expect(served.length).toBeGreaterThan(40);
    expect(served.length).toBeLessThan(100);
    held.write('still here');
    expect(await held.read()).toBe('still here');
    // Nobody spins on what cannot be accepted.
    const { pid } = (await service.condition()).workers[0]!;
    const before = used(pid);
    await Bun.sleep(500);
    expect(used(pid) - before).toBeLessThan(250);
    for (const tunnel of others) tunnel?.close();
    while ((await echo().catch(String)) !== 'hello\n') await Bun.sleep(10);
    expect((await service.condition()).workers[0]!.restarts).toBe(0);
  });

  test('of clients that say nothing keeps nobody else out', async () => {
    service.writePolicy(policy('limits: {head_timeout: 1s}', ', limits: {connections_per_second: 100000}'));
    await service.serveWithin(700, ...listen(), '--workers', '2');
    let ended = 0;
    const silent = await Promise.all(
      Array.from({ length: 1_500 }, () =>
        Bun.connect({
          hostname: '127.0.0.1',
          port,
          socket: { data() {}, close: () => void ended++, error() {} },
        }).catch(() => void ended++),
      ),
    );
    while ((await echo().catch(String)) !== 'hello\n') await Bun.sleep(10);
    while (ended < silent.length) await Bun.sleep(10);
    const { workers } = await service.condition();
    expect(workers.map(({ restarts }) => restarts)).toEqual([0, 0]);
  });
});

describe('at the end', () => {
  test('what is open may end by itself, and nothing new is accepted', async () => {
    const child = await service.serve(...listen(), '--workers', '2');
    const tunnel = await connectBy({ port }, target());
    await tunnel.read();
    child.kill('SIGTERM');
    await child.lines.until('nothing new is accepted');
    while (await connects(port)) await Bun.sleep(5);
    tunnel.write('one more');
    expect(await tunnel.read()).toBe('one more');
    tunnel.close();
    expect(await child.exited).toBe(0);
  });

  test('what does not end is cut at the deadline', async () => {
    const child = await service.serve(...listen(), '--workers', '1', '--drain', '300ms');
    const tunnel = await connectBy({ port }, target());
    await tunnel.read();
    child.kill('SIGTERM');
    expect(await tunnel.ended).toBe('reset');
    expect(await child.exited).toBe(0);
  });
});

describe('another process', () => {
  test('takes over without a refused connection, twice', async () => {
    service.writePolicy(policy('', ', limits: {connections_per_second: 100000}'));
    let running = await service.serve(...listen(), '--workers', '2');
    const held = await connectBy({ port }, target());
    await held.read();
    const clients = keepConnecting(4);
    for (const workers of ['1', '3']) {
      const enough = clients.count() + 50;
      while (clients.count() < enough) await Bun.sleep(5);
      const next = await service.serve(...listen(), '--workers', workers, '--takeover', '--drain', '20s');
      await running.lines.until('has taken over');
      expect((await service.condition()).pid).toBe(next.pid);
      running = next;
    }
    const enough = clients.count() + 50;
    while (clients.count() < enough) await Bun.sleep(5);
    expect(await clients.stop()).toEqual([]);
    // The first process still serves what it had.
    held.write('still here');
    expect(await held.read()).toBe('still here');
  }, 30_000);

  test('takes over where probes ask, too', async () => {
    const probed = freePort();
    const admin = ['--admin', `127.0.0.1:${probed}`, '--workers', '1'];
    const running = await service.serve(...listen(), ...admin);
    const held = await connectBy({ port }, target());
    await held.read();
    const next = await service.serve(...listen(), ...admin, '--takeover');
    await running.lines.until('has taken over');
    const pid = () =>
      fetch(`http://127.0.0.1:${probed}/readyz`, { headers: { connection: 'close' } })
        .then((answer) => answer.json() as Promise<Condition>)
        .then((condition) => condition.pid)
        .catch(() => null);
    while ((await pid()) !== next.pid) await Bun.sleep(5);
    held.write('still here');
    expect(await held.read()).toBe('still here');
  });

  test('that gives up half way changes nothing', async () => {
    const child = await service.serve(...listen(), '--workers', '1');
    service.writePolicy(policy(`listen: ['127.0.0.1:${service.origin}']`)); // taken
    await child.lines.until('is in use already');
    const { code, err } = await service.clawctl('serve', ...listen(), '--takeover');
    expect([code, err]).toEqual([1, expect.stringContaining('is in use already')]);
    await child.lines.until('did not take over after all');
    expect(await echo()).toBe('hello\n');
  });

  test('starts by itself where there is none to take over from', async () => {
    await service.serve(...listen(), '--workers', '1', '--takeover');
    expect(await echo()).toBe('hello\n');
  });
});
