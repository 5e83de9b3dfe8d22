/** What channels keep from every command. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { channelSecrets, withoutSecrets } from './channelsecrets.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'clawctl-secrets-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function make(name: string, text = '', mode = 0o600): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

test('variables, files and programs are found however they are written', () => {
  const [a, b, c] = ['a', 'b c', 'd'].map((name) => make(name)) as [string, string, string];
  const hook = make('hook', '#!/bin/sh', 0o700);
  const policy = make(
    'policy.yaml',
    `version: 1
channels:
  mail: { type: email, password: env:MAIL_PASSWORD, x: file:${a} }
  chat:
    url: "file:${b}"   # or env:OLD_URL
    secret: 'file:${c}'
  hook: { type: command, command: [${hook}, --quiet] }
  other: { type: command, command: ["${hook}"] }
  shell: { type: command, command: [/bin/sh, /usr/bin/env] }
`,
  );
  const found = channelSecrets([policy, join(folder, 'none')]);
  expect([...found.variables]).toEqual(['MAIL_PASSWORD', 'OLD_URL']);
  expect([...found.files].sort()).toEqual([a, b, c, hook].sort());
  expect(withoutSecrets({ MAIL_PASSWORD: 'x', HOME: '/' }, found)).toEqual({ HOME: '/' });
});

test('a policy without channels keeps nothing', () => {
  const policy = make('policy.yaml', `version: 1\nallow: [a.test]\n# env:HOME file:${folder}\n`);
  expect(channelSecrets([policy])).toEqual({ variables: new Set(), files: [] });
});
