/** Alerts from a real connection of a fenced agent to a delivered message: the guide's block, as it stands there. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type MailServer,
  openMailServer,
  openReceiver,
  type Receiver,
} from '../src/alerts/channels/receiver.fixture.ts';
import { openQueries } from '../src/events/queries.ts';
import { GUIDE } from '../src/policy/alerts/guide.fixture.ts';
import { linesOf } from './rig/lines.ts';
import { finish, inRig, openWorld, type World } from './rig/world.ts';

/** From the last request to the message, milliseconds; the rest is for a busy machine. */
const SOON = 5_000;

describe.skipIf(!inRig)('alerts', () => {
  let world: World;
  let mail: MailServer;
  let pager: Receiver;
  beforeAll(async () => {
    world = await openWorld();
    for (const name of ['x.tk', 'githud.com']) world.nameServer.names.set(name, ['203.0.113.66']);
  });
  afterAll(() => world.close());
  beforeEach(async () => {
    rmSync(join(world.environment.XDG_STATE_HOME!, 'clawctl'), { recursive: true, force: true });
    mail = await openMailServer();
    pager = openReceiver(() => '202 Accepted');
    world.environment.PAGER_KEY = 'routing-key-of-a-service';
  });
  afterEach(async () => {
    await mail.close();
    pager.close();
  });

  const policy = (alerts: string, rest = '') => `version: 1
${rest}${alerts}channels:
  mail: { type: email, server: '127.0.0.1:${mail.port}', security: none, from: egress@company.com }
  oncall:
    type: pagerduty
    key: env:PAGER_KEY
    url: http://${new URL(pager.url).host}/v2/enqueue
    addresses: [127.0.0.0/8]
`;
  const alert = (condition: string) =>
    `alerts:\n- { name: it, condition: '${condition}', notify: [oncall] }\n`;
  const paged = () => pager.received.map(({ body }) => JSON.parse(body));
  const within = async (milliseconds: number, holds: () => boolean) => {
    for (const end = performance.now() + milliseconds; performance.now() < end; await Bun.sleep(20))
      if (holds()) return true;
    return holds();
  };
  /** A fenced agent that does one thing after another, as it is told. */
  const agentDoing = (text: string, steps: readonly string[], flags: readonly string[] = []) => {
    const script = steps.map((step, index) => `read go; ${step} >/dev/null 2>&1; echo done-${index}`);
    const running = world.start(text, ['sh', '-c', [...script, 'read end'].join('; ')], {
      flags: ['--agent', 'support-bot', ...flags],
    });
    const lines = linesOf(running.stdout);
    let next = 0;
    return {
      running,
      /** Resolves when the next step is done, to the moment of that. */
      async go() {
        running.stdin.write('\n');
        await running.stdin.flush();
        await lines.until(`done-${next++}`);
        return performance.now();
      },
      async end() {
        running.kill('SIGTERM');
        await running.exited;
      },
    };
  };
  const requests = (from: number, to: number) => `curl -s 'http://evil.test/[${from}-${to}]'`;

  test('of the guide: the 101st blocked request is one e-mail, within seconds, and a second burst none', async () => {
    const agent = agentDoing(policy(GUIDE), [requests(1, 100), requests(101, 101), requests(102, 260)]);
    try {
      await agent.go();
      expect(await within(3_000, () => mail.mails.length > 0)).toBe(false);
      const last = await agent.go();
      expect(await within(SOON, () => mail.mails.length > 0)).toBe(true);
      expect(performance.now() - last).toBeLessThan(SOON);
      await agent.go();
      expect(await within(3_000, () => mail.mails.length > 1)).toBe(false);
    } finally {
      await agent.end();
    }
    expect(mail.mails).toHaveLength(1);
    expect(paged()).toEqual([]);
    const [{ to, from, text }] = mail.mails as [(typeof mail.mails)[0]];
    expect({ to, from }).toEqual({ to: ['security@company.com'], from: 'egress@company.com' });
    const body = text.replaceAll('=\r\n', '').replaceAll('=3D', '=');
    expect(body).toMatch(/^Subject: \[high\] blocked_request_spike: 101 in all, agent support-bot/m);
    expect(body).toMatch(/^Message-ID: <[0-9a-f]{40}@company\.com>/m);
    for (const part of [
      'blocked_requests > 100 in 5 minutes',
      '101 x evil[.]test (no-rule: no rule allows this host)',
      'clawctl egress blocked --last',
      "clawctl egress add 'evil[.]test'",
      'clawctl egress kill --agent support-bot',
    ])
      expect(body).toContain(part);
    expect(body).not.toContain('evil.test');
    const { items } = JSON.parse((await world.clawctl(['alerts', 'history', '--json'])).stdout);
    expect(items).toMatchObject([
      {
        ...{ alert: 'blocked_request_spike', state: 'firing', agents: ['support-bot'] },
        deliveries: [{ to: 'security@company.com', state: 'delivered', attempts: 1 }],
      },
    ]);
  });

  test('of the guide: one request to x.tk is an e-mail and a call of whoever is on duty', async () => {
    const agent = agentDoing(policy(GUIDE), ['curl -s http://x.tk/']);
    try {
      await agent.go();
      expect(await within(SOON, () => mail.mails.length > 0 && pager.received.length > 0)).toBe(true);
    } finally {
      await agent.end();
    }
    expect(mail.mails).toHaveLength(1);
    expect(paged()).toMatchObject([
      {
        ...{ routing_key: 'routing-key-of-a-service', event_action: 'trigger' },
        payload: {
          ...{ severity: 'critical', class: 'suspicious_domain_attempt' },
          custom_details: { hosts: ['1 x x[.]tk (no-rule: no rule allows this host)'] },
        },
      },
    ]);
  });

  test('a run that ends at once delivers what it caused', async () => {
    const { code } = await world.fenced(policy(GUIDE), ['curl', '-s', 'http://x.tk/']);
    expect(code).toBe(0);
    expect([mail.mails.length, pager.received.length]).toEqual([1, 1]);
  });

  test('resolve when it is over, under the same key', async () => {
    const agent = agentDoing(policy(alert('blocked_requests > 2 in 3 seconds')), [requests(1, 3)]);
    try {
      await agent.go();
      expect(await within(10_000, () => pager.received.length >= 2)).toBe(true);
    } finally {
      await agent.end();
    }
    expect(paged().map(({ event_action }) => event_action)).toEqual(['trigger', 'resolve']);
    expect(new Set(paged().map(({ dedup_key }) => dedup_key)).size).toBe(1);
  });

  test.each([
    ['a lookalike', 'lookalike', '', 'curl -s http://githud.com/', 'presets: [default]\n'],
    [
      'much sent',
      'bytes_up > 1 MB in 1 minute per agent',
      '',
      'head -c 2000000 /dev/zero | curl -s --data-binary @- http://allowed.test/hash',
      'allow: [allowed.test]\n',
    ],
    [
      'an agent that is not expected',
      'unexpected_agent',
      '',
      'curl -s http://allowed.test/',
      'allow: [{ host: allowed.test, agents: [other-bot] }]\n',
    ],
    [
      'names asked for',
      'dns_queries >= 3 in 1 minute',
      '',
      'for i in a b c; do getent hosts $i.evil.test; done',
      '',
    ],
    [
      'what is allowed',
      'allowed_requests >= 1 in 1 minute',
      '',
      'curl -s http://allowed.test/hello',
      'allow: [allowed.test]\n',
    ],
    [
      'what fails',
      'failed_requests >= 1 in 1 minute',
      '',
      'curl -s http://nowhere.test/',
      'allow: [nowhere.test]\n',
    ],
    ['a new domain', 'new_blocked_domains >= 1 in 1 hour', '', 'curl -s http://evil.test/', ''],
    [
      'what comes back',
      'bytes_down > 1 MB in 1 minute',
      '',
      'curl -s http://allowed.test/bytes/2000000',
      'allow: [allowed.test]\n',
    ],
  ])('%s (%s) reaches whoever is on duty', async (_, condition, __, step, rest) => {
    const agent = agentDoing(policy(alert(condition), rest), [step]);
    try {
      await agent.go();
      expect(await within(SOON, () => pager.received.length > 0)).toBe(true);
    } finally {
      await agent.end();
    }
    expect(paged()[0]).toMatchObject({ event_action: 'trigger', payload: { class: 'it' } });
  });

  test('without channels the policy enforces, alerts wait, and a later channel gets them', async () => {
    const file = join(world.folder, 'later.yaml');
    // What waits goes by the channels of its own policy, once that has them.
    const flags = ['--policy', file];
    writeFileSync(file, `version: 1\n${GUIDE}`);
    const { stderr } = await world.fenced('', ['curl', '-s', 'http://x.tk/'], { flags });
    expect(stderr).toContain('refused x.tk:80 (no-rule)');
    for (const what of [
      'security@company.com yet: no channel of type email',
      "oncall yet: no channel is named 'oncall'",
    ])
      expect(stderr).toContain(`1 message about alerts cannot be delivered to ${what}`);
    expect((await world.clawctl(['list'])).stderr).not.toContain('cannot be delivered');
    expect((await world.clawctl(['list', ...flags])).stderr).toContain(
      '1 message about alerts cannot be delivered to oncall',
    );
    expect((await world.clawctl(['alerts', 'check', file])).code).toBe(1);
    writeFileSync(file, policy(GUIDE));
    expect((await world.clawctl(['alerts', 'check', file])).code).toBe(0);
    await finish(world.start('', ['true'], { flags }));
    await world.clawctl(['alerts', 'deliver', ...flags]);
    expect([mail.mails.length, pager.received.length]).toEqual([1, 1]);
    expect((await world.clawctl(['list'])).stderr).not.toContain('message');
  });

  test('a mail server that hangs keeps nobody waiting: not the agent, not the pager', async () => {
    const silent = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } });
    const text = policy(GUIDE).replace(`127.0.0.1:${mail.port}`, `127.0.0.1:${silent.port}`);
    const agent = agentDoing(text, ['curl -s http://x.tk/', 'curl -s http://evil.test/']);
    try {
      await agent.go();
      expect(await within(SOON, () => pager.received.length > 0)).toBe(true);
      const before = performance.now();
      expect((await agent.go()) - before).toBeLessThan(2_000);
    } finally {
      await agent.end();
      silent.stop(true);
    }
  });

  test('the command sees no secret of a channel', async () => {
    const secret = join(world.workspace, 'hook-secret');
    writeFileSync(secret, 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
    const text = policy(GUIDE).replace(
      'channels:\n',
      `channels:\n  hook: { type: webhook, url: 'https://example.com/', secret: 'file:${secret}' }\n`,
    );
    const { stdout } = await world.fenced(text, [
      'sh',
      '-c',
      `cat ${secret}; env; cat /proc/*/environ; true`,
    ]);
    expect(stdout).not.toContain('whsec_');
    expect(stdout).not.toContain('routing-key-of-a-service');
    expect(stdout).not.toContain('PAGER_KEY');
  });

  test('gateways killed at any moment lose no message, and none comes without its key', async () => {
    const hook = openReceiver((count) => (count % 5 === 0 ? '500 Oops' : '200 OK'));
    writeFileSync(join(world.folder, 'secret'), 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
    const names = Array.from({ length: 12 }, (_, index) => `alert${index}`);
    const text = `version: 1
alerts:
${names.map((name) => `- { name: ${name}, condition: 'domain matches ${name}.tk', cooldown: 0, notify: [hook] }`).join('\n')}
channels:
  hook: { type: webhook, url: '${hook.url}', secret: 'file:${join(world.folder, 'secret')}', addresses: [127.0.0.0/8] }
`;
    const flags = ['--policy', join(world.folder, 'killed.yaml')];
    writeFileSync(flags[1]!, text);
    const queries = openQueries(join(world.environment.XDG_STATE_HOME!, 'clawctl/egress.db'));
    const isRecorded = (host: string) =>
      queries.blocked({ since: 0, until: Date.now() + 1 }).some((row) => row.host === host);
    try {
      for (const name of names) {
        const agent = agentDoing('', [`curl -s http://${name}.tk/`], flags);
        await agent.go();
        // An agent may hear that it was refused before that is written; what is lost by then was never an event.
        expect(await within(SOON, () => isRecorded(`${name}.tk`))).toBe(true);
        await Bun.sleep(Math.random() * 500);
        agent.running.kill('SIGKILL');
        await agent.running.exited;
      }
      const last = agentDoing('', ['true'], flags);
      const seen = () => new Set(hook.received.map(({ body }) => JSON.parse(body).data.alert));
      expect(await within(30_000, () => seen().size === names.length)).toBe(true);
      await last.end();
    } finally {
      queries.close();
      hook.close();
    }
    for (const { headers, body } of hook.received) expect(headers['webhook-id']).toBe(JSON.parse(body).id);
    const firing = hook.received
      .map(({ body }) => JSON.parse(body))
      .filter(({ type }) => type === 'alert.firing');
    expect(new Set(firing.map(({ id }) => id)).size).toBe(names.length);
  });
});
