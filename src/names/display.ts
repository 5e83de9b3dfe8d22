/** Text from the wire as a person may see it: nothing in it can move the cursor, hide, or turn the line around. */
import { unicodeOf } from './acelabel.ts';

const UNFIT = /[[\p{C}\p{Z}\p{Default_Ignorable_Code_Point}]--[\u0020]]/gv;
const SHORT: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** The ASCII form, and the Unicode form beside it where there is one: `xn--bcher-kva.example (bücher.example)`. */
export function displayName(name: string): string {
  const ascii = printable(name);
  if (!name.includes('xn--')) return ascii;
  const unicode = name
    .split('.')
    .map((label) => (label.startsWith('xn--') ? (unicodeOf(label) ?? label) : label))
    .join('.');
  return unicode === name ? ascii : `${ascii} (${printable(unicode)})`;
}

/** Control, bidirectional, invisible and unassigned characters become `\n`, `\x1b` or `\u{202e}`. */
export function printable(text: string): string {
  return text.replace(UNFIT, (character) => {
    const code = character.codePointAt(0)!;
    const hex = code.toString(16);
    return SHORT[character] ?? (code < 0x100 ? `\\x${hex.padStart(2, '0')}` : `\\u{${hex}}`);
  });
}
