/**
 * What the fence costs on the way: throughput, CPU per GB and requests per second through it, beside the same
 * programs without it, on the loopback of a network of its own (`scripts/rig`, entered by itself).
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { makeCertificates } from '../test/rig/certificates.ts';
import { median } from './statistics.ts';

const ROOT = resolve(import.meta.dir, '..');
const BINARY = join(ROOT, 'dist/clawctl');
const GIGABYTE = 1e9;
const ROUNDS = 5;
/** Reachable by a fixed address, so that no name server is part of the measurement. */
const POLICY = `version: 1
allow: [origin.test]
hosts: { origin.test: 203.0.113.10 }
limits: { connections_per_second: 1000000, connections_per_second_per_agent: 1000000 }
`;
const TICKS_PER_SECOND = 100;

/** CPU seconds that a process and its threads have used. proc_pid_stat(5): fields 14 and 15. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

interface Result {
  value: number;
  /** CPU seconds of the gateway's process; 0 without a fence. */
  cpu: number;
}

class Bench {
  constructor(
    private readonly folder: string,
    private readonly environment: Record<string, string>,
  ) {}

  /** Runs a shell line that prints one number, with or without the fence around it. */
  async run(line: string, fenced: boolean): Promise<Result> {
    const shell = ['sh', '-c', `${line} || exit; read -r wait`];
    const policy = join(this.folder, 'policy.yaml');
    const command = fenced ? [BINARY, 'egress', 'run', '--quiet', '--policy', policy, '--', ...shell] : shell;
    const child = Bun.spawn(command, {
      cwd: this.folder,
      env: this.environment,
      stdin: 'pipe',
      stdout: 'pipe',
      stderr: 'inherit',
    });
    const reader = child.stdout.getReader();
    let text = '';
    while (!text.includes('\n')) {
      const { value, done } = await reader.read();
      if (done) throw new Error(`no answer from: ${line}`);
      text += new TextDecoder().decode(value);
    }
    const cpu = fenced ? cpuSeconds(child.pid) : 0;
    child.stdin.write('\n');
    child.stdin.end();
    await child.exited;
    return { value: Number(text.trim()), cpu };
  }

  /** The same line without and with the fence, alternating; medians. */
  async compare(direct: string, fenced = direct): Promise<{ direct: number; fenced: number; cpu: number }> {
    const pairs: Array<[Result, Result]> = [];
    for (let round = 0; round < ROUNDS; round += 1)
      pairs.push([await this.run(direct, false), await this.run(fenced, true)]);
    return {
      direct: median(pairs.map(([one]) => one.value)),
      fenced: median(pairs.map(([, other]) => other.value)),
      cpu: median(pairs.map(([, other]) => other.cpu)),
    };
  }
}

/** Started, and listening. */
async function startOrigin(...words: string[]) {
  const origin = Bun.spawn([process.execPath, join(import.meta.dir, 'origin.ts'), ...words], {
    stdout: 'pipe',
  });
  await origin.stdout.getReader().read();
  return origin;
}

async function measureInRig(): Promise<Record<string, number>> {
  const folder = mkdtempSync(join(tmpdir(), 'clawctl-bench-'));
  mkdirSync(join(folder, 'home'));
  writeFileSync(join(folder, 'policy.yaml'), POLICY);
  writeFileSync(join(folder, 'client.ts'), readFileSync(join(import.meta.dir, 'client.ts')));
  const { authority, certificate, key } = makeCertificates(folder, ['origin.test']);
  const origins = [
    await startOrigin('203.0.113.10', '80'),
    await startOrigin('203.0.113.10', '443', certificate, key),
  ];
  try {
    const bench = new Bench(folder, {
      PATH: process.env.PATH ?? '',
      HOME: join(folder, 'home'),
      TERM: 'dumb',
    });
    const bytes = 2 * GIGABYTE;
    const stream = async (scheme: string, port: number) => {
      const curl = `curl -sS --cacert ${authority} -o /dev/null -w '%{speed_download}\\n'`;
      const url = `${scheme}://origin.test/bytes/${bytes}`;
      return await bench.compare(
        `${curl} --resolve origin.test:${port}:203.0.113.10 ${url}`,
        `${curl} ${url}`,
      );
    };
    const tls = await stream('https', 443);
    const plain = await stream('http', 80);
    const load = async (mode: string) => {
      const client = `${process.execPath} client.ts ${mode}`;
      return await bench.compare(`${client} 203.0.113.10 2 16`, `${client} origin.test 2 16`);
    };
    const fresh = await load('requests');
    const kept = await load('keepalive');
    return {
      'throughput_mb_s: TLS, direct': tls.direct / 1e6,
      'throughput_mb_s: TLS, fenced': tls.fenced / 1e6,
      'throughput: TLS, of direct': tls.fenced / tls.direct,
      'throughput_mb_s: plain, direct': plain.direct / 1e6,
      'throughput_mb_s: plain, fenced': plain.fenced / 1e6,
      'throughput: plain, of direct': plain.fenced / plain.direct,
      'cpu_s_per_gb: gateway, TLS': tls.cpu / (bytes / GIGABYTE),
      'cpu_s_per_gb: gateway, plain': plain.cpu / (bytes / GIGABYTE),
      'requests_s: direct, new connections': fresh.direct,
      'requests_s: fenced, new connections': fresh.fenced,
      'cpu_us_per_connection: gateway': (fresh.cpu / (fresh.fenced * 2)) * 1e6,
      'requests_s: direct, kept alive': kept.direct,
      'requests_s: fenced, kept alive': kept.fenced,
    };
  } finally {
    for (const origin of origins) origin.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}

export async function measure(): Promise<Record<string, number>> {
  if (!existsSync(BINARY)) throw new Error('build first: npm run build');
  const rig = ['sh', join(ROOT, 'scripts/rig'), process.execPath, import.meta.path, '--in-rig'];
  const child = Bun.spawn(rig, { cwd: ROOT, stdout: 'pipe', stderr: 'inherit' });
  const text = await new Response(child.stdout).text();
  if ((await child.exited) !== 0) throw new Error('the measurement in the rig failed');
  return JSON.parse(text);
}

if (import.meta.main) {
  if (process.argv.includes('--in-rig')) console.log(JSON.stringify(await measureInRig()));
  else console.table(await measure());
}
