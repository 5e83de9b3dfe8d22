/** The gateway as it is deployed: the binary, `serve`, recording on, with folders of its own. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { answers, freePort, type Peer } from './peers.ts';

const ROOT = resolve(import.meta.dir, '..');
const BINARY = join(ROOT, 'dist/clawctl');
const TICKS_PER_SECOND = 100;

/** By what name the origin is asked for. */
export const HOST = 'origin.test';
/** The same origin at another address. */
export const OTHER_HOST = 'other.test';

/** The origin on this port may be reached, and nobody is limited; beside that so many rules more. */
export const policyText = (port: number, rules = 0) => `version: 1
allow:
  - {host: ${HOST}, ports: [${port}], addresses: [127.0.0.0/8]}
  - {host: ${OTHER_HOST}, ports: [${port}], addresses: [127.0.0.0/8]}
${Array.from({ length: rules }, (_, i) => `  - h${i}.example.org\n`).join('')}hosts: {${HOST}: 127.0.0.1, ${OTHER_HOST}: 127.0.0.2}
agents: {bench: {from: [127.0.0.0/8]}}
limits:
  connections: 100000
  connections_per_agent: 100000
  connections_per_second: 1000000
  connections_per_second_per_agent: 1000000
`;

export async function startGateway(policy: string, workers: number): Promise<Peer> {
  if (!existsSync(BINARY)) throw new Error('there is no dist/clawctl: npm run build');
  const folder = mkdtempSync(join(tmpdir(), 'clawctl-bench-'));
  for (const name of ['config/clawctl', 'state', 'runtime', 'home'])
    mkdirSync(join(folder, name), { recursive: true, mode: 0o700 });
  writeFileSync(join(folder, 'config/clawctl/egress.yaml'), policy, { mode: 0o600 });
  const port = freePort();
  const child = Bun.spawn(
    [BINARY, 'egress', 'serve', '--listen', `127.0.0.1:${port}`, '--workers', `${workers}`],
    {
      cwd: folder,
      env: {
        PATH: process.env.PATH ?? '/usr/bin:/bin',
        HOME: join(folder, 'home'),
        XDG_CONFIG_HOME: join(folder, 'config'),
        XDG_STATE_HOME: join(folder, 'state'),
        XDG_RUNTIME_DIR: join(folder, 'runtime'),
      },
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  );
  await answers(port, child);
  return {
    name: 'ours',
    port,
    pid: child.pid,
    async stop() {
      child.kill('SIGTERM');
      await Promise.race([child.exited, Bun.sleep(2_000)]);
      child.kill('SIGKILL');
      await child.exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A process and all below it. */
function treeOf(pid: number): number[] {
  const below = readdirSync(`/proc/${pid}/task`).flatMap((task) => {
    try {
      return readFileSync(`/proc/${pid}/task/${task}/children`, 'latin1').trim().split(' ').filter(Boolean);
    } catch {
      return [];
    }
  });
  return [pid, ...below.flatMap((child) => treeOf(Number(child)))];
}

/** Seconds of CPU time that a process and all below it have used, those that have ended included. */
export function cpuOf(pid: number): number {
  let ticks = 0;
  for (const each of treeOf(pid)) {
    const stat = readFileSync(`/proc/${each}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    ticks += fields.slice(11, each === pid ? 15 : 13).reduce((sum, text) => sum + Number(text), 0);
  }
  return ticks / TICKS_PER_SECOND;
}

/** CPU seconds that the proxy spends while this is done. */
export async function spent<T>(pid: number, act: () => Promise<T>): Promise<[cpu: number, result: T]> {
  const before = cpuOf(pid);
  const result = await act();
  await Bun.sleep(30); // what it still writes down belongs to it
  return [cpuOf(pid) - before, result];
}

/** Resident octets of a process and all below it. */
export function memoryOf(pid: number): number {
  return treeOf(pid).reduce((sum, each) => {
    const status = readFileSync(`/proc/${each}/status`, 'latin1');
    return sum + Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) * 1_024;
  }, 0);
}

/** Resolves once it has nothing left to do, or after a minute. */
export async function settle(pid: number): Promise<void> {
  // What it does all the time: it looks at files and counts.
  const SHARE = 0.08;
  let before = cpuOf(pid);
  for (const end = performance.now() + 60_000; performance.now() < end; ) {
    await Bun.sleep(1_000);
    const now = cpuOf(pid);
    if (now - before < SHARE) return;
    before = now;
  }
}
