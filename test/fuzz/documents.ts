/** Policy files: whatever they hold, they are read or refused in words, and never allow what no rule names. */
import fc from 'fast-check';
import { parseHost } from '../../src/names/host.ts';
import { compile } from '../../src/policy/compile.ts';
import { decide } from '../../src/policy/decide.ts';
import { readDocument } from '../../src/policy/document.ts';
import { same, type Target, target } from './target.ts';

const SEEDS = [
  'version: 1\nmode: enforce\nallow:\n  - a.example\n  - "*.b.example"\n  - {host: c.example, ports: [443], addresses: [10.0.0.0/8]}\ndeny: [d.example]\n',
  'version: 1\nagents:\n  bot: {inherit: false, allow: [a.example], from: [10.0.0.0/8]}\nlimits: {idle: 15m, connections: 5}\n',
  'version: 1\nallow: [a.example] # why\nhosts: {a.example: 10.0.0.1}\ndns: {upstream: system}\npresets: [default]\n',
  'version: 1\nlisten: [127.0.0.1:8880]\nallow: [{host: a.example, limits: {bytes_up: 5 MB/day}, upgrade: [websocket]}]\n',
];
const odd = fc.constantFrom(
  ...[
    '&a ',
    '*a',
    '<<: ',
    '!!js ',
    '? ',
    '- ',
    ': ',
    '\t',
    '\0',
    '\ufeff',
    '{',
    '}',
    '[',
    ']',
    '"',
    "'",
    '|',
    '>',
    '%',
    '---\n',
    '...\n',
  ],
  ...[
    '__proto__: ',
    'constructor: ',
    'allow: ',
    'null',
    '~',
    'yes',
    '1e3',
    '0x10',
    '*',
    '*.',
    '**',
    '0.0.0.0/0',
    '#',
    '\r',
    '\u2028',
    'é',
  ],
);
const texts = fc
  .tuple(fc.constantFrom(...SEEDS), fc.array(fc.tuple(fc.nat(), fc.nat(20), odd), { maxLength: 5 }))
  .map(([seed, changes]) =>
    changes.reduce((text, [at, cut, put]) => {
      const place = at % (text.length + 1);
      return text.slice(0, place) + put + text.slice(place + (cut > 12 ? cut - 12 : 0));
    }, seed),
  );

export const DOCUMENTS: readonly Target[] = [
  target('policies', fc.oneof(texts, fc.string({ maxLength: 200 })), (text) => {
    const result = readDocument(text, 'fuzz.yaml');
    if (!result.ok) {
      if (result.problems.length === 0) throw new Error('refused without a word');
      return false;
    }
    const policy = compile([result.document]);
    const host = parseHost('evil-elsewhere.example')!;
    const at = { now: 0, killed: false, grants: [] };
    const { verdict } = decide(policy, { agent: 'bot', host, port: 443 }, at);
    if (verdict !== 'deny' && !/\*|observe/.test(text)) throw new Error('it allows what no rule names');
    same(
      'killed',
      decide(policy, { agent: 'bot', host, port: 443 }, { ...at, killed: true }).verdict,
      'deny',
    );
    return true;
  }),
];
