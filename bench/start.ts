/**
 * How long `run -- true` takes from the binary, beside a bare bubblewrap and @anthropic-ai/sandbox-runtime
 * (by npm, into a folder of its own, never a dependency of ours). Runs alternate, so that noise hits all alike.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { median } from './statistics.ts';

const ROUNDS = 21;
const ROOT = resolve(import.meta.dir, '..');
const BINARY = join(ROOT, 'dist/clawctl');
const PEER = '@anthropic-ai/sandbox-runtime@0.0.78';

interface Command {
  words: readonly string[];
  cwd: string;
}

/**
 * Milliseconds for one run of a command; throws if it fails, since a failed start is no start. A shell gives a program
 * a terminal, a pipe or /dev/null, so one of these it is. The runtime's own pipes are sockets.
 */
function time({ words, cwd }: Command, environment: Record<string, string>): number {
  const started = performance.now();
  const run = Bun.spawnSync([...words], { cwd, env: environment, stdio: ['ignore', 'ignore', 'ignore'] });
  const taken = performance.now() - started;
  if (run.exitCode !== 0) throw new Error(`${words.join(' ')}: exit ${run.exitCode}`);
  return taken;
}

/** The peer's command, or null with the reason on stderr where it cannot run. */
function installPeer(folder: string, environment: Record<string, string>): string | null {
  const install = Bun.spawnSync(['npm', 'install', '--ignore-scripts', '--silent', PEER], {
    cwd: folder,
    env: environment,
  });
  const program = join(folder, 'node_modules/.bin/srt');
  if (install.exitCode !== 0 || !existsSync(program)) {
    console.error(`not compared: ${PEER} cannot be installed`);
    return null;
  }
  const missing = ['socat', 'rg'].filter((name) => Bun.which(name) === null);
  if (missing.length > 0) {
    console.error(`not compared: ${PEER} needs ${missing.join(' and ')}`);
    return null;
  }
  return program;
}

export async function measure(): Promise<Record<string, number>> {
  if (!existsSync(BINARY)) throw new Error('build first: npm run build');
  const folder = mkdtempSync(join(tmpdir(), 'clawctl-bench-'));
  try {
    const [home, workspace] = [join(folder, 'home'), join(folder, 'workspace')];
    mkdirSync(home);
    mkdirSync(workspace);
    const [input, output] = [join(folder, 'input'), join(folder, 'output')];
    writeFileSync(input, '');
    const environment: Record<string, string> = { PATH: process.env.PATH ?? '', HOME: home, TERM: 'dumb' };
    const bare = [
      'bwrap',
      '--unshare-user',
      '--unshare-net',
      '--unshare-pid',
      '--unshare-ipc',
      '--ro-bind',
      '/',
      '/',
    ];
    const run = [BINARY, 'egress', 'run', '--quiet', '--', 'true'];
    const there = (...words: string[]): Command => ({ words, cwd: workspace });
    const commands: Record<string, Command> = {
      'start_ms: run -- true': there(...run),
      // Sockets, FIFOs and files that tools execute are looked for in a workspace.
      'start_ms: run -- true, in this checkout': { words: run, cwd: ROOT },
      // Files and sockets stay outside, and are copied to and from by programs that have to be started.
      'start_ms: run -- true, from and to files': there(
        'sh',
        '-c',
        `${run.join(' ')} < ${input} > ${output} 2>&1`,
      ),
      'start_ms: bare bwrap': there(...bare, '--proc', '/proc', '--dev', '/dev', 'true'),
    };
    const peer = installPeer(folder, environment);
    if (peer !== null) commands[`start_ms: ${PEER}`] = there(peer, 'true');
    const taken = new Map(Object.keys(commands).map((name) => [name, [] as number[]]));
    for (let round = -2; round < ROUNDS; round += 1) {
      for (const [name, command] of Object.entries(commands)) {
        const milliseconds = time(command, environment);
        if (round >= 0) taken.get(name)!.push(milliseconds); // the first two rounds warm the page cache
      }
    }
    const medians = Object.fromEntries([...taken].map(([name, list]) => [name, median(list)]));
    const ours = medians['start_ms: run -- true']!;
    return {
      ...medians,
      'start: times bare bwrap': ours / medians['start_ms: bare bwrap']!,
      ...(peer === null ? {} : { 'start: of the peer': ours / medians[`start_ms: ${PEER}`]! }),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (import.meta.main) console.table(await measure());
