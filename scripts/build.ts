/**
 * Builds dist/clawctl: one program that needs nothing but bubblewrap. Run: `npm run build`, or with `-- FILE` to
 * have it elsewhere.
 *
 * The runtime inside takes options from variables before any code of ours runs (BUN_OPTIONS can name a
 * file to execute, BUN_BE_BUN turns the program into a plain runtime, BUN_INSPECT and its like open a
 * debugger). The copy that we build on does not know those names any more. What it obeys besides, main.ts
 * puts aside.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { Glob } from 'bun';
import { allFilters } from '../src/sandbox/filters.ts';
import { allRules } from '../src/sandbox/rules.ts';

const root = resolve(import.meta.dir, '..');
const outfile = resolve(process.argv[2] ?? join(root, 'dist/clawctl'));
process.chdir(root);

const FORGOTTEN = ['BUN_OPTIONS', 'BUN_BE_BUN', 'BUN_INSPECT'];

async function forgetVariables(from: string, to: string): Promise<void> {
  const bytes = Buffer.from(await Bun.file(from).arrayBuffer());
  for (const name of FORGOTTEN) {
    let found = 0;
    for (let at = bytes.indexOf(name); at >= 0; at = bytes.indexOf(name, at), found++)
      bytes.fill(0, at, at + name.length); // no variable's name can hold a NUL
    if (found === 0) throw new Error(`${name} is not in ${from}: look how this version reads it`);
  }
  await Bun.write(to, bytes);
  chmodSync(to, 0o755);
}

/** Each is an entry point of its own inside the program, under its path below src. */
const workers = [...new Glob('src/**/*.worker.ts').scanSync('.')];

const scratch = mkdtempSync(join(tmpdir(), 'clawctl-build-'));
try {
  const runtime = join(scratch, 'bun');
  await forgetVariables(process.execPath, runtime);
  mkdirSync(dirname(outfile), { recursive: true });
  const result = await Bun.build({
    entrypoints: ['src/main.ts', ...workers],
    root: 'src',
    target: 'bun',
    format: 'esm',
    // The process inside the fence and the start of `run` load their own small chunks and nothing else.
    splitting: true,
    // What is always the same, and what no start has to wait for.
    define: { BUILT_RULES: JSON.stringify(allRules()), BUILT_FILTERS: JSON.stringify(allFilters()) },
    minify: { whitespace: true, syntax: true, identifiers: false },
    bytecode: true,
    compile: {
      outfile,
      executablePath: runtime,
      // Fewer functions compiled while starting; src/base/compiler.ts ends it.
      jitPolicy: 100,
      autoloadDotenv: false,
      autoloadBunfig: false,
    },
  });
  for (const log of result.logs) console.error(log);
  if (!result.success) process.exit(1);
  console.log(outfile);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
