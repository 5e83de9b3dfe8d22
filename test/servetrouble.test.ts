/** What a service cannot serve as it should: it says what and why, to probes too, and tries again. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { copyFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connectBy, freePort, openService, type Service } from './rig/service.ts';

let service: Service;
let port: number;
beforeEach(() => {
  service = openService();
  port = freePort();
});
afterEach(() => service.close());

const policy = (listen: string) => service.writePolicy(`version: 1\nlisten: [${listen}]\n`);

/** A place that speaks TLS with a certificate in this file, which also holds its key. */
const secure = (file: string) => `{address: '127.0.0.1:${port}', tls: {certificate: ${file}, key: ${file}}}`;

function certify(): string {
  const file = join(service.folder, 'tls.pem');
  Bun.spawnSync(
    [
      ...['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
      ...['-subj', '/CN=proxy.test', '-days', '1', '-keyout', file, '-out', `${file}.crt`],
    ],
    { stderr: 'ignore' },
  );
  writeFileSync(file, `${Bun.spawnSync(['cat', file, `${file}.crt`]).stdout}`);
  return file;
}

const answers = () =>
  fetch(`https://127.0.0.1:${port}/`, {
    tls: { rejectUnauthorized: false },
    headers: { connection: 'close' },
    signal: AbortSignal.timeout(500),
  }).then(
    () => true,
    () => false,
  );

const place = () => `proxy 127.0.0.1:${port}`;

describe('a certificate that cannot be read', () => {
  test('while it runs is a problem that is named, and the one before goes on', async () => {
    const file = certify();
    policy(secure(file));
    const child = await service.serve('--workers', '2');
    const said = `${place()} goes on with the certificate that it had: ENOENT`;
    policy(secure('/no/such.pem'));
    await child.lines.until(said.replace('proxy', 'tcp'));
    const changed = await service.until(({ problems }) => problems.length > 0);
    expect(changed).toMatchObject({ ready: true, problems: [expect.stringContaining(said)] });
    expect(await answers()).toBe(true);
    policy(secure(file));
    await service.until(({ problems }) => problems.length === 0);

    copyFileSync(file, `${file}.good`);
    writeFileSync(file, 'no key');
    child.kill('SIGHUP');
    const broken = await service.until(({ problems }) => problems.length > 0);
    expect(broken).toMatchObject({ ready: true, problems: [expect.stringContaining('that it had')] });
    copyFileSync(`${file}.good`, file);
    child.kill('SIGHUP');
    await service.until(({ problems }) => problems.length === 0);
  });

  test('by new workers leaves the place without one, which is said with its cause, until it can be read', async () => {
    const file = certify();
    policy(`${secure(file)}, '127.0.0.1:${freePort()}'`);
    const child = await service.serve('--workers', '2');
    renameSync(file, `${file}.away`);
    for (const { pid } of (await service.condition()).workers) process.kill(pid, 'SIGKILL');
    const said = `${place()} has no worker: ENOENT`;
    const { problems, ready } = await service.until((now) =>
      now.problems.some((each) => each.includes(said)),
    );
    expect(ready).toBe(false);
    // The other place has one, or will have before long, and is not said to have none.
    expect(problems.filter((each) => each.includes('has no worker'))).toHaveLength(1);
    await child.lines.until('cannot serve tcp');
    expect(await answers()).toBe(false);
    await Bun.sleep(1_500);
    renameSync(`${file}.away`, file);
    await service.until((now) => now.ready && now.problems.length === 0);
    await child.lines.until('as it should again');
    expect(child.lines.all.filter((line) => line.includes('cannot serve tcp'))).toHaveLength(2);
    expect(await answers()).toBe(true);
  }, 15_000);
});

test('a place that is taken is a problem that is named, said once, and opened once it is free', async () => {
  policy(`'127.0.0.1:${port}'`);
  const child = await service.serve('--workers', '2');
  const other = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } });
  policy(`'127.0.0.1:${port}', '127.0.0.1:${other.port}'`);
  const said = `proxy 127.0.0.1:${other.port} is not open: 127.0.0.1:${other.port} is in use already.`;
  const { ready, problems } = await service.until((now) => now.problems.length > 0);
  expect([ready, problems]).toEqual([false, [said]]);
  const { code, err } = await service.clawctl('status');
  expect([code, err]).toEqual([1, expect.stringContaining(said)]);
  await Bun.sleep(1_500);
  other.stop(true);
  await child.lines.until(`listens on tcp 127.0.0.1:${other.port}`);
  expect(child.lines.all.filter((line) => line.includes('is in use already'))).toHaveLength(1);
  await service.until((now) => now.ready && now.problems.length === 0);
  expect((await connectBy({ port: other.port }, 'a.test:443')).answer).toContain('40');
}, 15_000);

test('a drain starts no worker, and a second signal cuts what it waits for, which is recorded', async () => {
  service.writePolicy(`version: 1
listen: [{address: '127.0.0.1:${port}', agent: ci}]
allow: [{host: 127.0.0.1, ports: [${service.origin}], addresses: [127.0.0.0/8]}]
`);
  const child = await service.serve('--workers', '2', '--drain', '60s');
  const tunnel = await connectBy({ port }, `127.0.0.1:${service.origin}`);
  await tunnel.read();
  tunnel.write('hello');
  await tunnel.read();
  child.kill('SIGTERM');
  await child.lines.until('nothing new is accepted');
  // One of the two has nothing open, and ends.
  const { problems } = await service.until(({ workers }) => workers.some(({ pid }) => pid === null));
  expect(problems).toEqual(['it is draining']);
  child.kill('SIGINT');
  await child.lines.until('SIGINT again');
  expect(await tunnel.ended).toBe('reset');
  expect(await child.exited).toBe(0);
  expect(JSON.parse((await service.clawctl('stats', '--json')).out)).toMatchObject({ bytes_up: 5 });
});
