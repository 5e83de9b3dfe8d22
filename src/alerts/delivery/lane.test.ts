import { afterAll, describe, expect, test } from 'bun:test';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ChannelConfig } from '../../policy/alerts/channel.ts';
import { exposedIn, missingIn } from './lane.ts';

const folder = mkdtempSync(join(tmpdir(), 'clawctl-lane-'));
afterAll(() => rmSync(folder, { recursive: true }));

const secret = (text: string, mode = 0o600) => {
  const file = join(folder, crypto.randomUUID());
  writeFileSync(file, text);
  chmodSync(file, mode);
  return { file };
};
const web = { name: 'hook', addresses: [], ca: null } as const;
const GOOD = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const webhook = (text: string, url = 'https://example.com/'): ChannelConfig => ({
  ...{ ...web, type: 'webhook', url: secret(url), secret: secret(text) },
});
const slack = (url: string, mode?: number): ChannelConfig => ({
  ...{ ...web, type: 'slack', url: secret(url, mode) },
});

describe('what a channel lacks is said before anything is sent:', () => {
  test.each([
    ['a secret that signs', webhook(GOOD), null],
    ['one that is too short', webhook('abc'), 'its secret is not 24 to 64 octets in base64'],
    ['a URL that may be used', slack('https://example.com/x'), null],
    ['one that is not encrypted', slack('http://example.com/x'), 'its URL cannot be used'],
    ['one that is none', webhook(GOOD, 'hooks'), 'its URL cannot be used'],
    ['one that leads to this machine', slack('https://127.0.0.1/top-secret'), 'its URL cannot be used'],
  ] as const)('%s', (_, channel, said) => {
    const missing = missingIn(channel);
    if (said === null) expect(missing).toBeNull();
    else expect(missing).toStartWith(said);
    expect(missing ?? '').not.toContain('top-secret');
  });
});

test('a secret in a file that everybody can read is named', () => {
  const open = slack('https://example.com/x', 0o644);
  expect(exposedIn(open)).toEqual([(open as unknown as { url: { file: string } }).url.file]);
  for (const mode of [0o600, 0o640]) expect(exposedIn(slack('https://example.com/x', mode))).toEqual([]);
});
