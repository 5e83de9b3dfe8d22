/**
 * `npm run fuzz` looks for inputs that nobody has thought of, 10 seconds at each target; `-- --seconds 600` for longer,
 * `-- --seed N` to see the same again, further words for only those targets whose name has one of them. Where a real
 * Squid is installed it is asked too. Exits 1 at the first finding, which is shown.
 */
import { createSquidTargets } from './squid.ts';
import { TARGETS } from './targets.ts';

const words = process.argv.slice(2);
const option = (name: string, otherwise: number) => {
  const at = words.indexOf(name);
  return at === -1 ? otherwise : Number(words.splice(at, 2)[1]);
};
const seconds = option('--seconds', 10);
const seed = option('--seed', Math.floor(Math.random() * 2 ** 31));

const squid = await createSquidTargets();
if (squid === null) console.log('Squid is not installed: what it makes of the requests is not compared.');
const all = [...TARGETS, ...(squid?.targets ?? [])];
const chosen = words.length === 0 ? all : all.filter(({ name }) => words.some((word) => name.includes(word)));
if (chosen.length === 0) {
  console.error(`There is no such target. There are:\n${all.map(({ name }) => `  ${name}`).join('\n')}`);
  process.exit(2);
}
console.log(`seed ${seed}, ${seconds} seconds each`);
let failed = false;
for (const target of chosen) {
  try {
    const { tried, accepted } = await target.run(seconds * 1_000, seed);
    console.log(`${target.name}: ${tried} tried, ${accepted} accepted`);
  } catch (error) {
    failed = true;
    console.error((error as Error).message);
    break;
  }
}
await squid?.close();
process.exit(failed ? 1 : 0);
