/** The parts of an e-mail: a subject, plain text, and HTML without a link, an image, a style sheet or a script. */
import { type Message, numberText, type Piece, plain } from './message.ts';

/** Longer subjects are cut by mail programs anyway. */
const LONGEST_SUBJECT = 160;

export const subjectOf = (message: Message): string => plain(message.subject).slice(0, LONGEST_SUBJECT);

export function textOf({ summary, facts, hosts, commands }: Message): string {
  const widest = Math.max(...facts.map(({ label }) => label.length));
  const lines = [
    plain(summary),
    '',
    ...facts.map(({ label, value }) => `${`${label}:`.padEnd(widest + 2)}${plain(value)}`),
  ];
  if (hosts.length > 0)
    lines.push(
      '',
      'Hosts:',
      ...hosts.map(({ host, count, why }) => `  ${numberText(count)} x ${host}${whyText(why)}`),
    );
  for (const { purpose, line } of commands) lines.push('', `${purpose}:`, `  ${line}`);
  return `${lines.join('\n')}\n`;
}

const whyText = (why: string) => (why === '' ? '' : ` (${why})`);

export function htmlOf({ summary, facts, hosts, commands }: Message): string {
  const row = (label: string, value: string) =>
    `<tr><th align="left" valign="top">${escaped(label)}</th><td>${value}</td></tr>`;
  const parts = [
    `<p>${pieces(summary)}</p>`,
    `<table cellpadding="4">${facts.map(({ label, value }) => row(label, pieces(value))).join('')}</table>`,
  ];
  if (hosts.length > 0) {
    const items = hosts.map(
      ({ host, count, why }) =>
        `<li>${numberText(count)} &times; <code>${escaped(host)}</code>${escaped(whyText(why))}</li>`,
    );
    parts.push(`<p>Hosts:</p><ul>${items.join('')}</ul>`);
  }
  for (const { purpose, line } of commands)
    parts.push(`<p>${escaped(purpose)}:</p><pre>${escaped(line)}</pre>`);
  return `<!doctype html><html><head><meta charset="utf-8"></head><body>${parts.join('\n')}</body></html>\n`;
}

const pieces = (list: readonly Piece[]): string =>
  list
    .map((piece) => ('words' in piece ? escaped(piece.words) : `<code>${escaped(piece.foreign)}</code>`))
    .join('');

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** HTML's own characters, in text and in attributes in double quotes. */
export const escaped = (text: string): string =>
  text.replace(/[&<>"']/g, (character) => ENTITIES[character]!);
