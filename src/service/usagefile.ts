/**
 * What was sent today, kept on disk, so that a service that is started again does not let a day's octets go twice.
 * Written now and then: what is sent in the last seconds before a machine fails is not in it.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Ledger, PAST } from './ledger.ts';

const VERSION = 1;
/** Past the year 10,000 nobody has a clock. */
const FARTHEST_DAY = 3_000_000;

/** A file that is none, or of a day that is over, says nothing. */
export function recallUsage(file: string, ledger: Ledger, now: number): void {
  try {
    const { version, day, sent } = JSON.parse(readFileSync(file, 'utf8')) as Kept;
    if (version !== VERSION || !Number.isSafeInteger(day) || day < 0 || day > FARTHEST_DAY) return;
    const turn = ledger.begin(day);
    if (ledger.turn(now) !== turn) return;
    for (const [key, octets] of sent)
      if (Number.isSafeInteger(key) && Number.isFinite(octets) && octets > 0)
        ledger.sent(PAST, key, octets, turn);
  } catch {
    // the first start, or a file that was damaged
  }
}

interface Kept {
  version: number;
  day: number;
  sent: [key: number, octets: number][];
}

/** Returns what it has written, for it not to be written again; null where the disk does not take it. */
export function keepUsage(file: string, ledger: Ledger, now: number, before: string | null): string | null {
  const sent = [...ledger.sentByKey(ledger.turn(now))];
  const text = JSON.stringify({ version: VERSION, day: ledger.day, sent } satisfies Kept);
  if (text === before) return before;
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    writeFileSync(`${file}.new`, text, { mode: 0o600 });
    renameSync(`${file}.new`, file);
    return text;
  } catch {
    return null;
  }
}
