/**
 * Every measurement in one run: `npm run bench` (`npm run bench -- start fence` for some of them). What must hold
 * is compared with its limit; ratios have both sides measured in the same run. `--write` keeps the figures in
 * docs/performance.md. Exits 1 where a limit is not met.
 */
import { cpus } from 'node:os';
import { resolve } from 'node:path';
import { LIMITS } from './limits.ts';

const PARTS: Record<string, () => Promise<{ measure(): Promise<Record<string, number>> }>> = {
  start: () => import('./start.ts'),
  fence: () => import('./fence.ts'),
  relay: () => import('./relay.ts'),
  gateway: () => import('./gateway.ts'),
  squid: () => import('./squid.ts'),
  growth: () => import('./growth.ts'),
  decide: () => import('./decide.ts'),
  recorder: () => import('./recorder.ts'),
  stats: () => import('./stats.ts'),
  alerts: () => import('./alerts.ts'),
};
const DOCUMENT = resolve(import.meta.dir, '../docs/performance.md');
const BEGIN = '<!-- figures: written by the bench -->';

interface Row {
  name: string;
  value: number;
  limit: string;
  holds: boolean;
}

function rowOf(name: string, value: number): Row {
  const limit = LIMITS.find(({ figure }) => figure.test(name));
  if (limit === undefined) return { name, value, limit: '', holds: true };
  const { atMost = Number.POSITIVE_INFINITY, atLeast = Number.NEGATIVE_INFINITY } = limit;
  const text = atMost === Number.POSITIVE_INFINITY ? `at least ${atLeast}` : `at most ${atMost}`;
  return { name, value, limit: text, holds: value <= atMost && value >= atLeast };
}

const figure = (value: number) => (Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3));

function table(rows: readonly Row[]): string {
  const lines = rows.map(({ name, value, limit, holds }) => {
    const verdict = limit === '' ? '' : holds ? 'met' : '**not met**';
    return `| ${name} | ${figure(value)} | ${limit} | ${verdict} |`;
  });
  return ['| figure | value | limit | |', '|---|---:|---|---|', ...lines].join('\n');
}

async function write(text: string): Promise<void> {
  const document = await Bun.file(DOCUMENT).text();
  const begin = document.indexOf(BEGIN);
  const end = document.lastIndexOf(BEGIN);
  if (begin < 0 || end === begin) throw new Error(`${DOCUMENT} has no place for figures`);
  const [{ model = 'unknown' } = {}] = cpus();
  const machine = `Measured on ${new Date().toISOString().slice(0, 10)}: ${cpus().length} cores (${model}), Bun ${Bun.version}.`;
  await Bun.write(
    DOCUMENT,
    `${document.slice(0, begin)}${BEGIN}\n${machine}\n\n${text}\n${document.slice(end)}`,
  );
}

const words = process.argv.slice(2);
const unknown = words.find((word) => word !== '--write' && !(word in PARTS));
if (unknown !== undefined) {
  console.error(`There is no part '${unknown}'. Parts: ${Object.keys(PARTS).join(', ')}. Option: --write.`);
  process.exit(2);
}
const chosen = Object.keys(PARTS).filter((name) => words.includes(name));
const sections: string[] = [];
let allHold = true;
for (const name of chosen.length > 0 ? chosen : Object.keys(PARTS)) {
  console.error(`measuring: ${name}`);
  const { measure } = await PARTS[name]!();
  const rows = Object.entries(await measure()).map(([key, value]) => rowOf(key, value));
  allHold &&= rows.every(({ holds }) => holds);
  sections.push(`### ${name}\n\n${table(rows)}`);
  console.log(`${sections.at(-1)}\n`);
}
if (words.includes('--write')) await write(sections.join('\n\n'));
process.exit(allHold ? 0 : 1);
