import { expect, test } from 'bun:test';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { newStore } from './event.fixture.ts';

/** How the program may be compiled. With bytecode, addresses of modules are those of the machine that builds. */
test.each([[[]], [['--bytecode', '--minify']]])(
  'the compiled program records with the thread that it carries (%p)',
  async (flags) => {
    const folder = dirname(dirname(newStore()));
    const source = join(folder, 'src');
    mkdirSync(source);
    for (const room of ['base', 'names', 'os', 'policy', 'events']) {
      cpSync(join(import.meta.dir, '..', room), join(source, room), { recursive: true });
    }
    cpSync(join(import.meta.dir, '../../node_modules/tldts'), join(folder, 'node_modules/tldts'), {
      recursive: true,
    });
    cpSync(join(import.meta.dir, '../../node_modules/tldts-core'), join(folder, 'node_modules/tldts-core'), {
      recursive: true,
    });
    writeFileSync(join(source, 'main.ts'), PROGRAM);
    const entries = ['main.ts', 'events/recorder.worker.ts', 'events/keeper.worker.ts'].map((file) =>
      join(source, file),
    );
    const program = join(folder, 'program');
    const build = Bun.spawnSync([
      process.execPath,
      'build',
      '--compile',
      ...flags,
      ...entries,
      '--outfile',
      program,
    ]);
    expect([build.exitCode, build.exitCode === 0 ? '' : String(build.stderr)]).toEqual([0, '']);
    // The sources are gone, as they are on the machine that runs it.
    Bun.spawnSync(['rm', '-r', source]);
    const run = Bun.spawnSync([program, join(folder, 'state', 'egress.db')], { cwd: '/' });
    expect(`${run.stdout}${run.stderr}`).toBe('true\n');
  },
  60_000,
);

const PROGRAM = `
import { allowed } from './events/event.fixture.ts';
import { openRecorder } from './events/recorder.ts';
async function main() {
  const recorder = openRecorder({ store: process.argv[2] });
  console.log(await recorder.decide(allowed()));
  await recorder.close();
  process.exit(0);
}
main();
`;
