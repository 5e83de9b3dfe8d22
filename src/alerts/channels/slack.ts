/**
 * A Slack incoming webhook, as blocks. All that is said stands in elements that Slack shows as they are: `plain_text`
 * without emoji, and the text elements of `rich_text`, which have no markup, no mention and no link. The fallback for
 * notifications, which is parsed, holds nothing that an agent chose.
 */
import { type Message, type Notification, numberText, type Piece, plain } from './message.ts';

/** Slack's limits: characters of a header, elements of a section. */
const LONGEST_HEADER = 150;

type Element = { type: 'text'; text: string; style?: { code?: true; bold?: true } };

export function slackBody({ incident, transition }: Notification, message: Message): object {
  const { subject, summary, facts, hosts, commands } = message;
  const mark = incident.test ? 'TEST ' : '';
  return {
    text: slackEscaped(`${mark}${transition}: ${incident.rule} (${incident.severity})`),
    mrkdwn: false,
    parse: 'none',
    link_names: false,
    unfurl_links: false,
    unfurl_media: false,
    blocks: [
      {
        type: 'header',
        text: { type: 'plain_text', text: plain(subject).slice(0, LONGEST_HEADER), emoji: false },
      },
      {
        type: 'rich_text',
        elements: [
          section(elements(summary)),
          ...facts.map(({ label, value }) => section([bold(`${label}: `), ...elements(value)])),
          ...(hosts.length === 0 ? [] : [section([bold('Hosts')])]),
          ...hosts.map(({ host, count, why }) =>
            section([
              text(`${numberText(count)} × `),
              code(host),
              ...(why === '' ? [] : [text(` (${why})`)]),
            ]),
          ),
          ...commands.map(({ purpose, line }) => section([bold(`${purpose}: `), code(line)])),
        ],
      },
    ],
  };
}

const section = (parts: readonly Element[]) => ({
  type: 'rich_text_section',
  elements: [...parts, text('\n')],
});
const text = (value: string): Element => ({ type: 'text', text: value });
const bold = (value: string): Element => ({ type: 'text', text: value, style: { bold: true } });
const code = (value: string): Element => ({ type: 'text', text: value, style: { code: true } });

const elements = (pieces: readonly Piece[]): Element[] =>
  pieces
    .map((piece) => ('words' in piece ? text(piece.words) : code(piece.foreign)))
    .filter((element) => element.text !== ''); // Slack refuses empty ones

/** The three characters by which Slack's own markup begins and ends. */
export const slackEscaped = (value: string) =>
  value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
