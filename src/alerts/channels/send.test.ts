/** Every kind of channel against a real receiver. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Certificates, makeCertificates } from '../../../test/rig/certificates.ts';
import { removeFolder } from '../../../test/rig/folder.ts';
import type { ChannelConfig, EmailChannel } from '../../policy/alerts/channel.ts';
import { notificationOf } from './incident.fixture.ts';
import { post } from './post.ts';
import { openMailServer, openReceiver, type Receiver } from './receiver.fixture.ts';
import { send } from './send.ts';
import { signatureHeaders, signingKeyOf } from './signature.ts';

let folder: string;
let certificates: Certificates;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'clawctl-channels-'));
  certificates = makeCertificates(folder, ['localhost']);
  writeFileSync(join(folder, 'secret'), 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n');
  writeFileSync(join(folder, 'password'), 'hunter22\n');
});
afterAll(() => removeFolder(folder));

const LOOPBACK = ['127.0.0.0/8'];
const webhook = (url: string, rest: object = {}): ChannelConfig => ({
  ...{ type: 'webhook', name: 'hook', url, secret: { file: join(folder, 'secret') } },
  ...{ addresses: LOOPBACK, ca: null },
  ...rest,
});
const attempt = (channel: ChannelConfig, to: string[] = [], notification = notificationOf()) =>
  send({ channel, to, notification });

async function withReceiver<T>(
  answer: Parameters<typeof openReceiver>[0],
  act: (receiver: Receiver) => Promise<T>,
): Promise<T> {
  const receiver = openReceiver(answer);
  try {
    return await act(receiver);
  } finally {
    receiver.close();
  }
}

describe('a webhook', () => {
  test('is signed as the Standard Webhooks say', async () => {
    const key = signingKeyOf('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw')!;
    const time = 1_614_265_330_000;
    expect(signatureHeaders('msg_p5jXN8AQM9LWM0D4loKWxJek', time, '{"test": 2432232314}', key)).toEqual({
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    });
    await withReceiver(undefined, async ({ url, received }) => {
      expect(await attempt(webhook(url))).toEqual({ state: 'delivered', detail: 'HTTP 204' });
      const { headers, body } = received[0]!;
      const sent = Number(headers['webhook-timestamp']) * 1_000;
      expect(Math.abs(Date.now() - sent)).toBeLessThan(10_000);
      expect(headers).toMatchObject(signatureHeaders('clawctl_key', sent, body, key));
      expect(headers['content-type']).toBe('application/json');
      expect(JSON.parse(body)).toMatchObject({
        ...{ schema: 'clawctl.egress.alert/v1', type: 'alert.firing', id: 'clawctl_key' },
        data: {
          alert: 'blocked_request_spike',
          hosts: [{ host: 'evil.test', count: 101, reason: 'no-rule' }],
        },
      });
    });
  });

  test.each([
    ['500 Oops', { state: 'later', everybody: false }],
    [
      '503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n',
      { state: 'later', after: 7_000, everybody: true },
    ],
    ['429 Slow\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n', { state: 'later', after: 120_000 }],
    ['429 Slow\r\nRetry-After: 99999999\r\nContent-Length: 0\r\n\r\n', { state: 'later', after: 3_600_000 }],
    [
      '404 Gone\r\nContent-Length: 10\r\n\r\nno_service',
      { state: 'refused', detail: 'HTTP 404: no_service' },
    ],
    ['302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n', { state: 'refused' }],
    ['cut', { state: 'later', everybody: true }],
    ['200 OK\r\nContent-Length: 1000\r\n\r\nnot all of it', { state: 'delivered' }],
    ['100 Continue\r\n\r\nHTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n', { state: 'delivered' }],
    ['999 \r\n\r\n', { state: 'later' }],
  ])('takes the answer %p for what it is', async (answer, expected) => {
    await withReceiver(
      () => answer,
      async ({ url, received }) => {
        expect(await attempt(webhook(url))).toMatchObject(expected);
        expect(received).toHaveLength(1);
      },
    );
  });

  test('that hangs is left when the time is over', async () => {
    await withReceiver(
      () => 'hang',
      async ({ url }) => {
        const sent = await send({
          ...{ channel: webhook(url), to: [], notification: notificationOf() },
          signal: AbortSignal.timeout(100),
        });
        expect(sent).toMatchObject({ state: 'later', detail: 'no answer in time' });
      },
    );
  });

  test('is not reached at an address that is not public, unless its channel admits it', async () => {
    await withReceiver(undefined, async ({ url, received }) => {
      const { port } = new URL(url);
      for (const host of ['127.0.0.1', 'localhost'])
        for (const scheme of ['http', 'https'])
          expect((await attempt(webhook(`${scheme}://${host}:${port}/`, { addresses: [] }))).state).not.toBe(
            'delivered',
          );
      const elsewhere = await attempt(webhook(url, { addresses: ['10.0.0.0/8'] }));
      expect(elsewhere.state).not.toBe('delivered');
      expect(received).toHaveLength(0);
    });
  });

  test('whose name leads to an address that is not public is not connected to', async () => {
    await withReceiver(undefined, async ({ url, received }) => {
      const { port } = new URL(url);
      let asked = 0;
      const tries = [['127.0.0.1'], ['::ffff:127.0.0.1'], ['203.0.113.9', '127.0.0.1'], ['10.0.0.1'], []];
      for (const addresses of tries) {
        const request = { url: `https://hooks.example.com:${port}/`, headers: {}, body: '{}', addresses: [] };
        const sent = await post({ ...request, signal: AbortSignal.timeout(2_000) }, async () => {
          asked++;
          return addresses;
        });
        expect(sent).toMatchObject({
          state: 'later',
          detail: expect.stringMatching(/not public|no address/),
        });
      }
      expect([asked, received.length]).toEqual([tries.length, 0]);
    });
  });

  test('is not sent through a proxy of the environment', async () => {
    await withReceiver(undefined, async ({ url, received }) => {
      for (const name of ['http_proxy', 'HTTP_PROXY', 'ALL_PROXY']) process.env[name] = 'http://127.0.0.1:1';
      try {
        expect((await attempt(webhook(url))).state).toBe('delivered');
        expect(received).toHaveLength(1);
      } finally {
        for (const name of ['http_proxy', 'HTTP_PROXY', 'ALL_PROXY']) delete process.env[name];
      }
    });
  });

  test('verifies who it talks to, by the authority that its channel names', async () => {
    const tls = { cert: readFileSync(certificates.certificate), key: readFileSync(certificates.key) };
    const server = Bun.serve({ hostname: '127.0.0.1', port: 0, tls, fetch: () => new Response('ok') });
    try {
      const url = `https://localhost:${server.port}/`;
      expect((await attempt(webhook(url, { ca: certificates.authority }))).state).toBe('delivered');
      expect((await attempt(webhook(url))).state).toBe('later');
      const other = `https://127.0.0.1:${server.port}/`;
      expect((await attempt(webhook(other, { ca: certificates.authority }))).state).toBe('later');
    } finally {
      server.stop(true);
    }
  });

  test('needs a secret that is one, and says what is missing', async () => {
    await withReceiver(undefined, async ({ url, received }) => {
      const lacking = (secret: object) => attempt(webhook(url, { secret }));
      expect(await lacking({ env: 'NOT_SET_AT_ALL' })).toEqual({
        state: 'unconfigured',
        detail: 'the variable NOT_SET_AT_ALL is not set',
      });
      expect(await lacking({ file: join(folder, 'none') })).toMatchObject({ state: 'unconfigured' });
      expect(await lacking({ file: join(folder, 'password') })).toMatchObject({ state: 'unconfigured' });
      expect(received).toHaveLength(0);
    });
  });
});

test('Slack and PagerDuty get what their interfaces ask for', async () => {
  process.env.TEST_KEY = 'routing-key-of-a-service';
  await withReceiver(undefined, async ({ url, received }) => {
    process.env.TEST_URL = url;
    const slack: ChannelConfig = {
      type: 'slack',
      name: 's',
      url: { env: 'TEST_URL' },
      addresses: LOOPBACK,
      ca: null,
    };
    const pager: ChannelConfig = {
      ...{ type: 'pagerduty', name: 'p', key: { env: 'TEST_KEY' }, url, addresses: LOOPBACK, ca: null },
    };
    await attempt(slack);
    for (const transition of ['firing', 'acknowledged', 'resolved'] as const)
      await attempt(pager, [], notificationOf({}, transition));
    const bodies = received.map(({ body }) => JSON.parse(body));
    expect(bodies[0]).toMatchObject({ text: 'firing: blocked_request_spike (high)', link_names: false });
    expect(
      bodies
        .slice(1)
        .map(({ event_action, dedup_key, routing_key }) => [event_action, dedup_key, routing_key]),
    ).toEqual(
      ['trigger', 'acknowledge', 'resolve'].map((action) => [
        action,
        'clawctl-k7m2p9',
        'routing-key-of-a-service',
      ]),
    );
    expect(bodies[1].payload).toMatchObject({ severity: 'error', timestamp: '2026-03-01T12:00:00.000Z' });
  });
});

test('a secret that a receiver sends back is not kept', async () => {
  await withReceiver(
    () => '400 Bad\r\nContent-Length: 34\r\n\r\nbad routing-key-of-a-service, sorry',
    async ({ url }) => {
      process.env.TEST_KEY = 'routing-key-of-a-service';
      const channel: ChannelConfig = {
        ...{ type: 'pagerduty', name: 'p', key: { env: 'TEST_KEY' }, url, addresses: LOOPBACK, ca: null },
      };
      const { detail } = await attempt(channel);
      expect(detail).toContain('bad …');
      expect(detail).not.toContain('routing-key');
    },
  );
});

describe('of a webhook whose URL is the secret', () => {
  const SECRET = 'SLACK%2DSECRET-XYZ';
  const said = async (saying: (path: string) => string) => {
    let text = '';
    const answer = () => `404 Not Found\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`;
    return await withReceiver(answer, async ({ url }) => {
      const path = `/services/T000/B000/${SECRET}?token=tok-3n-of-it`;
      process.env.TEST_URL = new URL(path, url).href;
      text = saying(path);
      const slack = { type: 'slack', name: 's', url: { env: 'TEST_URL' }, addresses: LOOPBACK, ca: null };
      return (await attempt(slack as ChannelConfig)).detail;
    });
  };

  test.each<[string, (path: string) => string]>([
    ['its path', (path) => `Cannot POST ${path}`],
    ['its path without the query', (path) => `Cannot POST ${path.split('?')[0]}`],
    ['a part of its path', () => `no hook is named ${SECRET} here`],
    ['a part of it decoded', () => `no hook is named ${decodeURIComponent(SECRET)} here`],
    ['a part of its query, in other letters', () => '{"token":"TOK-3N-OF-IT"}'],
    ['its path where the text is cut', (path) => `${'x'.repeat(170)} ${path}`],
    ['the beginning of it where the receiver cuts', (path) => `Cannot POST ${path.slice(0, -20)}`],
  ])('%s is not kept', async (_, saying) => {
    const detail = await said(saying);
    expect(detail).toStartWith('HTTP 404: ');
    expect(detail).toContain('…');
    expect(detail).not.toMatch(/SLACK|SECRET|tok-3n/i);
  });

  test('what says nothing of it is', async () => {
    expect(await said(() => 'no_team for T000 at all')).toBe('HTTP 404: no_team for T000 at all');
  });
});

test('a signing secret is not kept without its prefix, either', async () => {
  await withReceiver(
    () =>
      `400 Bad\r\nContent-Length: 43\r\n\r\nnot signed with ${'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'.slice(0, 27)}`,
    async ({ url }) => {
      const { detail } = await attempt(webhook(url));
      expect(detail).toBe('HTTP 400: not signed with …');
    },
  );
});

describe('e-mail', () => {
  const email = (port: number, rest: Partial<EmailChannel> = {}): EmailChannel => ({
    ...{
      type: 'email',
      name: 'mail',
      host: 'localhost',
      port,
      security: 'starttls',
      username: null,
      password: null,
    },
    ...{ from: 'Clawctl <egress@company.test>', to: [], ca: certificates.authority },
    ...rest,
  });
  const keys = () => ({ key: readFileSync(certificates.key), cert: readFileSync(certificates.certificate) });
  const SECURE = ['tls', 'starttls'] as const;

  test.each(SECURE)(
    'goes by %s, with a password, as text and HTML, under one Message-ID',
    async (security) => {
      const server = await openMailServer({
        ...keys(),
        secure: security === 'tls',
        authOptional: false,
        onAuth: ({ username, password }, _session, done) =>
          username === 'u' && password === 'hunter22' ? done(null, { user: 'u' }) : done(new Error('no')),
      });
      try {
        const channel = email(server.port, {
          security,
          username: 'u',
          password: { file: join(folder, 'password') },
        });
        for (let time = 0; time < 2; time++)
          expect(await attempt(channel, ['security@company.test'])).toMatchObject({ state: 'delivered' });
        const [first, second] = server.mails;
        expect(first).toMatchObject({ from: 'egress@company.test', to: ['security@company.test'] });
        const id = /^Message-ID: (<[0-9a-f]{40}@company\.test>)/m;
        expect(id.exec(first!.text)![1]).toBe(id.exec(second!.text)![1]!);
        expect(first!.text).toContain('text/plain');
        expect(first!.text).toContain('text/html');
        expect(first!.text).toMatch(
          /^Subject: \[high\] blocked_request_spike: 101 in all, agent support-bot/m,
        );
        const wrong = { ...channel, password: { file: join(folder, 'secret') } };
        expect(await attempt(wrong, ['a@company.test'])).toMatchObject({ state: 'refused' });
      } finally {
        await server.close();
      }
    },
  );

  test.each(SECURE)(
    'is not sent by %s to a server that cannot be trusted, or has no TLS',
    async (security) => {
      const server = await openMailServer({ ...keys(), secure: security === 'tls' });
      const open = await openMailServer();
      try {
        expect(await attempt(email(server.port, { security, ca: null }), ['a@b.test'])).toMatchObject({
          state: 'later',
        });
        expect(await attempt(email(open.port, { security }), ['a@b.test'])).toMatchObject({ state: 'later' });
        expect([...server.mails, ...open.mails]).toEqual([]);
        expect(await attempt(email(open.port, { security: 'none' }), ['a@b.test'])).toMatchObject({
          state: 'delivered',
        });
      } finally {
        await server.close();
        await open.close();
      }
    },
  );

  test.each([
    [450, 'later'],
    [550, 'refused'],
  ])('that is answered %d is %s', async (responseCode, state) => {
    const server = await openMailServer({
      onRcptTo: (_address, _session, done) => done(Object.assign(new Error('no'), { responseCode })),
    });
    try {
      expect(await attempt(email(server.port, { security: 'none' }), ['a@b.test'])).toMatchObject({ state });
    } finally {
      await server.close();
    }
  });

  test('to a server that is not there is later, and says why', async () => {
    const gone = await openMailServer();
    await gone.close();
    const sent = await attempt(email(gone.port, { security: 'none' }), ['a@b.test']);
    expect(sent).toMatchObject({ state: 'later', detail: expect.stringContaining('ECONNREFUSED') });
  });

  test('to a server that hangs is left when the time is over', async () => {
    const silent = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } });
    try {
      const began = performance.now();
      const sent = await send({
        ...{
          channel: email(silent.port, { security: 'none' }),
          to: ['a@b.test'],
          notification: notificationOf(),
        },
        signal: AbortSignal.timeout(100),
      });
      expect(sent.state).toBe('later');
      expect(performance.now() - began).toBeLessThan(2_000);
    } finally {
      silent.stop(true);
    }
  });
});
