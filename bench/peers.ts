/** The proxies of the distribution beside which we are measured: a Squid and a tinyproxy of our own, on loopback. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Subprocess } from 'bun';

export interface Peer {
  name: string;
  port: number;
  pid: number;
  stop(): Promise<void>;
}

const FOLDERS = '/usr/sbin:/usr/bin:/sbin:/bin';
const find = (program: string) => Bun.which(program, { PATH: `${process.env.PATH ?? ''}:${FOLDERS}` });

/** Whether the program is there; installed by apt-get where that is possible. */
export function install(program: string): boolean {
  if (find(program) !== null) return true;
  if (process.getuid?.() !== 0 || find('apt-get') === null) return false;
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  for (const words of [['update'], ['install', '-y', '--no-install-recommends', program]])
    Bun.spawnSync(['apt-get', '-qq', ...words], { env: environment, stdout: 'ignore', stderr: 'inherit' });
  return find(program) !== null;
}

export function freePort(): number {
  const listener = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } });
  const { port } = listener;
  listener.stop(true);
  return port;
}

export async function answers(port: number, child: Subprocess): Promise<void> {
  for (const end = performance.now() + 20_000; performance.now() < end; await Bun.sleep(50)) {
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`);
    const reached = await Bun.connect({ hostname: '127.0.0.1', port, socket: { data() {} } }).then(
      (socket) => {
        socket.terminate();
        return true;
      },
      () => false,
    );
    if (reached) return;
  }
  throw new Error(`nothing answers on port ${port}`);
}

async function start(
  name: string,
  words: (file: string, folder: string) => string[],
  text: (port: number, folder: string) => string,
): Promise<Peer> {
  const folder = mkdtempSync(join(tmpdir(), `clawctl-${name}-`));
  chmodSync(folder, 0o777);
  const port = freePort();
  const file = join(folder, `${name}.conf`);
  writeFileSync(file, text(port, folder));
  const child = Bun.spawn(words(file, folder), { stdout: 'ignore', stderr: 'ignore', cwd: folder });
  await answers(port, child);
  return {
    ...{ name, port, pid: child.pid },
    async stop() {
      child.kill('SIGKILL');
      await child.exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

interface Options {
  /** The only name that is let through, and where it leads. */
  host: string;
  address: string;
  /** Whether requests are written to a log, as a gateway writes its records. */
  log?: boolean;
  /** Answers are passed on as they are. */
  keepAlive?: boolean;
}

/** No cache, one process, everything but the host refused. */
export const startSquid = ({ host, address, log = true }: Options): Promise<Peer> =>
  start(
    'squid',
    (file) => [find('squid')!, '-N', '-f', file],
    (port, folder) => {
      writeFileSync(join(folder, 'hosts'), `${address} ${host}\n`);
      return `http_port 127.0.0.1:${port}
hosts_file ${folder}/hosts
acl allowed dstdomain ${host}
http_access allow allowed
http_access deny all
cache deny all
cache_mem 8 MB
access_log ${log ? `stdio:${folder}/access.log` : 'none'}
cache_log ${folder}/cache.log
cache_store_log none
pid_filename none
coredump_dir ${folder}
shutdown_lifetime 0 seconds
max_filedescriptors 16384
pinger_enable off
client_db off
via off
forwarded_for delete
`;
    },
  );

/** Names are not its own to answer: clients ask it for the address. */
export const startTinyproxy = ({ address, log = true }: Options): Promise<Peer> =>
  start(
    'tinyproxy',
    (file) => [find('tinyproxy')!, '-d', '-c', file],
    (port, folder) => {
      writeFileSync(join(folder, 'filter'), `^${address.replaceAll('.', '\\.')}$\n`);
      return `Port ${port}
Listen 127.0.0.1
Timeout 600
MaxClients 12000
FilterDefaultDeny Yes
Filter "${folder}/filter"
LogLevel ${log ? 'Connect' : 'Critical'}
LogFile "${folder}/tinyproxy.log"
DisableViaHeader Yes
`;
    },
  );
