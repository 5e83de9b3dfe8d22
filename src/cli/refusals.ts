/**
 * Refusals on the terminal of the person who runs the command. They share it with the command, so they are
 * few, each is one line, and they never wait: not for a slow reader, not for a program that has taken the
 * terminal over (raw mode), which would be garbled.
 */
import { write } from 'node:fs';
import type { Refusal } from '../gateway/refusal.ts';
import { printable } from '../names/display.ts';
import { REASONS } from '../policy/reason.ts';

const MOST_LINES = 20;
/** Distinct refusals that are remembered so as to be told once. */
const MOST_REMEMBERED = 1_000;
const HOLD_CHECK_MILLISECONDS = 250;

export interface RefusalTeller {
  tell(refusal: Refusal): void;
  /** Tells what was held back and what was only counted. Waits a second at most for the terminal. */
  close(): Promise<void>;
}

interface Options {
  /** As JSON lines rather than words. */
  json: boolean;
  /** True while another program has the terminal in raw mode. */
  isHeld: () => boolean;
  /** Writes without blocking; calls back when done. */
  write?: (text: string, done: () => void) => void;
}

const writeToStderr = (text: string, done: () => void) => {
  write(2, text, () => done());
};

export function createRefusalTeller(options: Options): RefusalTeller {
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

  return {
    tell(refusal) {
      const key = `${refusal.host}:${refusal.port} ${refusal.reason}`;
      if (told.has(key) || lines >= MOST_LINES) {
        counted++;
        return;
      }
      if (told.size < MOST_REMEMBERED) told.add(key);
      lines++;
      waiting.push(options.json ? `${JSON.stringify(asItem(refusal))}\n` : `clawctl: ${sentence(refusal)}\n`);
      if (lines === MOST_LINES && !options.json)
        waiting.push('clawctl: further refusals are only counted; clawctl egress blocked shows them all\n');
      flush(false);
    },
    async close() {
      if (timer !== null) clearTimeout(timer);
      timer = null;
      if (counted > 0 && !options.json) {
        const were = counted === 1 ? 'refusal was' : 'refusals were';
        waiting.push(`clawctl: ${counted} more ${were} like those above or beyond the first ${MOST_LINES}\n`);
      }
      const emptied = new Promise<void>((resolve) => {
        drained = resolve;
      });
      flush(true);
      await Promise.race([emptied, Bun.sleep(1_000)]);
    },
  };
}

function asItem(refusal: Refusal): object {
  const { agent, host, port, reason, detail } = refusal;
  const time = new Date(refusal.time).toISOString();
  return { schema: 'clawctl.egress.refusal/v1', time, agent, host, port, reason, detail };
}

function sentence({ host, port, reason, detail, suggestion }: Refusal): string {
  const place = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  const more = detail === null ? '' : ` (${detail})`;
  const purpose = suggestion.includes(' add ') ? 'to allow it' : 'to see why';
  return printable(`refused ${place} (${reason}): ${REASONS[reason]}${more}; ${purpose}: ${suggestion}`);
}
