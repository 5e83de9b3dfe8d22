/**
 * Labels in their ASCII-compatible form (`xn--…`, RFC 5890 section 2.3.2.1). A label counts only if it is the one
 * spelling of its Unicode form and nothing maps that form to another: two parsers that disagree about a label
 * would let one name pass for another.
 */
import { decodePunycode } from './punycode.ts';

/** Letters, marks, digits, emoji, and the punctuation that RFC 5892 appendix A admits; nothing that is invisible. */
const FIT =
  /^[[\p{L}\p{M}\p{N}\p{Emoji_Presentation}\p{Extended_Pictographic}\-_\u00b7\u0375\u05f3\u05f4\u30fb]--\p{Default_Ignorable_Code_Point}]+$/v;

/** Folded by UTS 46 though in lower case already: Cherokee, old Cyrillic, and the iota subscript once decomposed. */
const FOLDED = /[\u0345\u13f8-\u13fd\u1c80-\u1c88\uab70-\uabbf]/;

/** The Unicode form of a lower-case label that starts with `xn--`; null if it is not a valid one. */
export function unicodeOf(label: string): string | null {
  const text = decodePunycode(label.slice(4));
  if (text === null || !/[^\u0000-\u007f]/.test(text)) return null;
  if (!FIT.test(text) || /^[\p{M}-]|-$/u.test(text)) return null;
  if (FOLDED.test(text.normalize('NFD'))) return null;
  return text.normalize('NFKC').toLowerCase() === text ? text : null;
}
