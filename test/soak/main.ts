/** `npm run soak -- --minutes N` (default 10): traffic for that long, then 10,000 idle tunnels. Exits 1 where anything is wrong. */
import { holdIdleTunnels, soak } from './soak.ts';

const words = process.argv.slice(2);
const at = words.indexOf('--minutes');
const minutes = at === -1 ? 10 : Number(words[at + 1]);
if (!(minutes > 0)) {
  console.error('soak: --minutes takes a number of minutes');
  process.exit(2);
}
const soaked = await soak(minutes, console.log);
console.log(JSON.stringify(soaked, null, 2));
const idle = await holdIdleTunnels(10_000, Math.min(60, minutes * 10));
console.log(JSON.stringify(idle, null, 2));
const grown = soaked.after.megabytes - soaked.before.megabytes;
const isFlat = soaked.after.descriptors <= soaked.before.descriptors + 4 && grown <= 64;
const isHeld = idle.answered === idle.wanted && idle.descriptorsAfter <= idle.descriptorsBefore + 4;
process.exit(isFlat && isHeld && soaked.wrong.length === 0 && soaked.restarts === 0 ? 0 : 1);
