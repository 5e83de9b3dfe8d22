/** Names that imitate a host, made kind by kind without the code under test: what squatters' tools make. */
import { splitName } from './suffix.ts';

const BESIDE: Record<string, string> = {
  ...{ q: 'wa', w: 'qes', e: 'wrd', r: 'etf', t: 'ryg', y: 'tuh', u: 'yij', i: 'uok', o: 'ipl', p: 'ol' },
  ...{ a: 'qsz', s: 'adw', d: 'sfe', f: 'dgr', g: 'fht', h: 'gjy', j: 'hku', k: 'jli', l: 'ko' },
  ...{ z: 'xa', x: 'zc', c: 'xv', v: 'cb', b: 'vn', n: 'bm', m: 'n' },
};
const GLYPHS: Record<string, string[]> = {
  ...{ o: ['0'], l: ['1'], i: ['1', 'l'], e: ['3'], a: ['4'], s: ['5'], g: ['9', 'q'], b: ['6', '8'] },
  ...{ m: ['rn'], w: ['vv'], d: ['cl'], t: ['7'], z: ['2'] },
};
const LETTERS: Record<string, string> = {
  ...{
    a: 'а',
    c: 'с',
    e: 'е',
    o: 'ο',
    p: 'р',
    x: 'х',
    y: 'у',
    i: 'і',
    j: 'ј',
    s: 'ѕ',
    h: 'һ',
    d: 'ԁ',
    l: 'ӏ',
  },
  ...{ w: 'ԝ', k: 'к', m: 'м', t: 'т', n: 'п', g: 'ɡ', u: 'υ', v: 'ѵ', r: 'г' },
};
const WORDS =
  'login secure api cdn status support auth verify account update portal signin download help'.split(' ');
const SUFFIXES = 'com net org io ai co cc xyz top app dev online info com.co ru cn'.split(' ');
const ELSEWHERE = 'evil.io attacker.net login-secure.top cdn-edge.xyz pages.dev evil.co.uk'.split(' ');

export function imitationsOf(host: string): { kind: string; host: string }[] {
  const { before, label, suffix } = splitName(host)!;
  const made: { kind: string; host: string }[] = [];
  const add = (kind: string, host: string) => made.push({ kind, host });
  const put = (kind: string, label: string, end = suffix) =>
    add(kind, `${before === '' ? '' : `${before}.`}${label}.${end}`);
  const encoded = (text: string) => new URL(`http://${text}.example`).hostname.replace(/\.example$/, '');

  for (let i = 0; i < label.length; i++) {
    const [start, here, rest] = [label.slice(0, i), label[i]!, label.slice(i + 1)];
    put('omission', start + rest);
    put('repetition', start + here + here + rest);
    if (rest !== '' && rest[0] !== here) put('transposition', start + rest[0] + here + rest.slice(1));
    for (const key of BESIDE[here] ?? '') {
      put('keyboard', start + key + rest);
      put('insertion', start + here + key + rest);
    }
    for (const glyph of GLYPHS[here] ?? []) put('homoglyph', start + glyph + rest);
    if (LETTERS[here] !== undefined) put('idn', encoded(start + LETTERS[here] + rest));
    for (const bit of [1, 2, 4, 8, 16, 64]) {
      const flipped = String.fromCharCode(here.charCodeAt(0) ^ bit);
      if (/[a-z0-9]/.test(flipped)) put('bitsquat', start + flipped + rest);
    }
    if (i > 0 && here !== '-' && !start.endsWith('-')) put('hyphen', `${start}-${here}${rest}`);
  }
  put('idn', encoded([...label].map((letter) => LETTERS[letter] ?? letter).join('')));
  for (const end of SUFFIXES) if (end !== suffix) put('tld', label, end);
  for (const word of WORDS) {
    put('affix', `${word}-${label}`);
    put('affix', `${label}-${word}`);
    put('affix', word + label);
    put('affix', label + word);
  }
  for (const end of ELSEWHERE) {
    add('subdomain', `${host}.${end}`);
    add('subdomain', `${host}.a.b.${end}`);
    add('hyphenated', `${host.replaceAll('.', '-')}.${end}`);
    add('hyphenated', `${host}-login.${end}`);
    add('hyphenated', `login-${host}.${end}`);
  }
  if (before !== '') {
    add('hyphen-dot', `${before.replaceAll('.', '-')}-${label}.${suffix}`);
    add('dropped-dot', `${before.replaceAll('.', '')}${label}.${suffix}`);
  }
  return made;
}
