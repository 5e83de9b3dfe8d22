/**
 * Labels in their ASCII-compatible form (`xn--…`, RFC 5890 section 2.3.2.1). A label counts only if it is the one
 * spelling of its Unicode form and nothing maps that form to another: two parsers that disagree about a label
 * would let one name pass for another. Rarer scripts' joiners (U+200C, U+200D) are refused with all that is invisible.
 */
import { decodePunycode, encodePunycode } from './punycode.ts';

/** Invisible, control, bidirectional, unassigned or private characters, and punctuation that no IDN may hold. */
const UNFIT = /[\p{C}\p{Z}\p{Default_Ignorable_Code_Point}[\p{P}--[\-_\u00b7\u0375\u05f3\u05f4\u30fb]]]/v;

/** The Unicode form of a lower-case label that starts with `xn--`; null if it is not a valid one. */
export function unicodeOf(label: string): string | null {
  const ace = label.slice(4);
  const text = decodePunycode(ace);
  if (text === null || encodePunycode(text) !== ace) return null;
  if (!/[^\u0000-\u007f]/.test(text) || UNFIT.test(text) || /^[\p{M}-]|-$/u.test(text)) return null;
  return text.normalize('NFKC').toLowerCase() === text ? text : null;
}
