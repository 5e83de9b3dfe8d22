/**
 * What `run` tells the person while the command has the terminal. They share it, so refusals are few and a line
 * each, and nothing is ever waited for: not a slow reader, and not a program that has taken the terminal over
 * (raw mode), which would be garbled.
 */
import { write } from 'node:fs';
import { isFailure, type Refusal, refusalDocument } from '../gateway/refusal.ts';
import { printable } from '../names/display.ts';
import { REASONS } from '../policy/reason.ts';
import { jsonText, printableLines } from './output.ts';
import { suggestedFor } from './suggestion.ts';

const NOTICE = 'clawctl.egress.notice/v1';
const MOST_LINES = 20;
const HOLD_CHECK_MILLISECONDS = 250;

export interface Teller {
  refusal(refusal: Refusal): void;
  /** Lines that are neither capped nor folded. */
  say(text: string): void;
  /** Tells what was held back and what was only counted, then `last`. Waits a second at most for the terminal. */
  close(last: readonly string[]): Promise<void>;
}

interface Options {
  /** As JSON lines rather than words. */
  json: boolean;
  /** True while another program has the terminal in raw mode. */
  isHeld: () => boolean;
  /** The policy in place of the person's own: what is suggested is about that one. */
  policyFile?: string | null;
  /** False: there is no fence, and every line about refusals says so. */
  enforced?: boolean;
  /** Writes without blocking; calls back when done. */
  write?: (text: string, done: () => void) => void;
}

const writeToStderr = (text: string, done: () => void) => {
  write(2, text, () => done());
};

export function createTeller(options: Options): Teller {
  const mark = options.enforced === false ? 'NOT ENFORCED: ' : '';
  const put = options.write ?? writeToStderr;
  const told = new Set<string>();
  const waiting: string[] = [];
  let lines = 0;
  let counted = 0;
  let busy = false;
  let timer: NodeJS.Timeout | null = null;
  let drained: (() => void) | null = null;

  function flush(force: boolean): void {
    if (busy) return;
    if (waiting.length === 0) {
      drained?.();
      return;
    }
    if (!force && options.isHeld()) {
      timer ??= setTimeout(() => {
        timer = null;
        flush(false);
      }, HOLD_CHECK_MILLISECONDS);
      timer.unref();
      return;
    }
    busy = true;
    put(waiting.splice(0).join(''), () => {
      busy = false;
      flush(force);
    });
  }

  const line = (text: string) => waiting.push(`${text}\n`);

  return {
    say(text) {
      line(options.json ? jsonText({ schema: NOTICE, text }) : `clawctl: ${printableLines(text)}`);
      flush(false);
    },
    refusal(given) {
      const key = `${given.host}:${given.port} ${given.reason}`;
      if (told.has(key) || lines >= MOST_LINES) {
        counted++;
        return;
      }
      told.add(key);
      lines++;
      const refusal = { ...given, suggestion: suggestedFor(options.policyFile, given.suggestion) };
      line(
        options.json
          ? jsonText({ ...asItem(refusal), ...(mark === '' ? {} : { enforced: false }) })
          : `clawctl: ${mark}${sentence(refusal)}`,
      );
      if (lines === MOST_LINES && !options.json)
        line(`clawctl: ${mark}further refusals are only counted; clawctl egress blocked shows them all`);
      flush(false);
    },
    async close(last) {
      if (timer !== null) clearTimeout(timer);
      timer = null;
      if (counted > 0 && !options.json) {
        const were = counted === 1 ? 'refusal was' : 'refusals were';
        line(`clawctl: ${mark}${counted} more ${were} not told one by one; see: clawctl egress blocked`);
      }
      for (const text of last) line(text);
      const emptied = new Promise<void>((resolve) => {
        drained = resolve;
      });
      flush(true);
      await Promise.race([emptied, Bun.sleep(1_000)]);
    },
  };
}

function asItem(refusal: Refusal): object {
  const { agent, detail } = refusal;
  const time = new Date(refusal.time).toISOString();
  return { ...refusalDocument(refusal), time, agent, detail };
}

function sentence({ host, port, reason, detail, suggestion }: Refusal): string {
  const place = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  const more = detail === null ? '' : ` (${detail})`;
  const why = `${place} (${reason}): ${REASONS[reason]}${more}`;
  // Allowed, and nothing to be changed in the rules.
  if (isFailure(reason)) return printable(`could not reach ${why}`);
  const purpose = suggestion.includes(' add ') ? 'to allow it' : 'to see why';
  return printable(`refused ${why}; ${purpose}: ${suggestion}`);
}
