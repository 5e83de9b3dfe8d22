/**
 * Names as security people write them where a program might make a link of them: `evil[.]example`. What is written so
 * is a link, a mention or an address to nobody, and a command line of ours takes it back.
 */
import { printable } from './display.ts';

/** Text that somebody else chose: printable, and no part of it looks like a name, an address, a URL or a mention. */
export function defanged(text: string): string {
  return printable(text)
    .replace(/[.。．｡](?=\S)/g, '[.]')
    .replace(/[:：](?=\S)/g, '[:]')
    .replace(/[@＠]/g, '[@]');
}

/** The name that was meant. Brackets of these kinds occur in no name, so nothing else is changed. */
export function refanged(text: string): string {
  return text.replaceAll('[.]', '.').replaceAll('[:]', ':');
}
