/** One recorded event, as JSON and as a line for a person. */

import type { CloseEvent, ProgressEvent } from '../events/event.ts';
import type { StoredEvent } from '../events/row.ts';
import { displayName, printable } from '../names/display.ts';
import { authority, parseHost } from '../names/host.ts';
import { dim, green, iso, onTerminal, red, size, yellow } from './output.ts';

export function eventItem(event: StoredEvent): object {
  const { time, ...rest } = event;
  const renamed = Object.entries(rest).map(([key, value]) => [
    key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    value,
  ]);
  return { schema: 'clawctl.egress.event/v1', time: iso(time), ...Object.fromEntries(renamed) };
}

/** Tab-separated in a pipe: sequence, time, agent, what, where, why. */
export function eventLine(event: StoredEvent, now: number): string {
  const [mark, what, place, why] = partsOf(event);
  const times = event.count > 1 ? ` ×${event.count}` : '';
  if (!onTerminal)
    return [event.sequence, iso(event.time), event.agent, what, place, why + times]
      .map(String)
      .map(printable)
      .join('\t');
  const date = new Date(event.time);
  const clock = now - event.time < 86_400_000 ? date.toTimeString().slice(0, 8) : iso(event.time);
  return `${dim(String(event.sequence).padStart(6))} ${dim(clock)} ${printable(event.agent)}  ${mark} ${place}  ${printable(why)}${times}`;
}

type Parts = [mark: string, what: string, place: string, why: string];

function partsOf(event: StoredEvent): Parts {
  switch (event.kind) {
    case 'decision': {
      const why = event.rule === null ? event.reason : `${event.reason}, ${event.rule}`;
      if (event.verdict !== 'allow') return [red('✗ denied'), 'denied', placeOf(event), why];
      const mark = event.wouldDeny ? yellow('! NOT ENFORCED') : green('✓ allowed');
      return [mark, event.wouldDeny ? 'would-deny' : 'allowed', placeOf(event), why];
    }
    case 'refusal': {
      const why = event.detail === null ? event.reason : `${event.reason}: ${event.detail}`;
      return [red('✗ refused'), 'refused', placeOf(event), why];
    }
    case 'progress':
      return [dim('· goes on'), 'goes-on', placeOf(event), amountsOf(event)];
    case 'close': {
      const amounts = amountsOf(event);
      const why = event.reason === null ? amounts : `${event.reason}; ${amounts}`;
      return [dim(`· closed (${event.outcome})`), `closed:${event.outcome}`, placeOf(event), why];
    }
    case 'question':
      return [dim('? asked'), 'asked', displayName(event.host), event.type];
    case 'notice':
      return [yellow('! notice'), event.topic, '', event.text.split('\n')[0]!];
  }
}

const amountsOf = ({ bytesUp, bytesDown, duration }: ProgressEvent | CloseEvent): string =>
  `${size(bytesUp)} up, ${size(bytesDown)} down, ${Math.round(duration)} ms`;

function placeOf({ host: text, port }: { host: string; port: number }): string {
  const host = parseHost(text);
  if (host === null) return printable(text);
  const place = authority(host, port);
  const shown = displayName(text);
  return shown === text ? place : `${place} ${shown.slice(text.length + 1)}`;
}
