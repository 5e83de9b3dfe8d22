/** The inside takes a whole network over. It must never be the one that somebody lives in. */
import { describe, expect, test } from 'bun:test';
import { join } from 'node:path';

const MAIN = join(import.meta.dir, '../main.ts');
const INNER = [process.execPath, '--no-env-file', '--config=/dev/null', '--no-install', MAIN, '__inner'];
const PATH = `${process.env.PATH}:/usr/sbin:/sbin`;
/** A network with something in it, of our own: without the protection it would be lost in place of the machine's. */
const NETWORK =
  process.getuid!() === 0 ? ['unshare', '--net'] : ['unshare', '--user', '--map-root-user', '--net'];
const started = Bun.spawnSync([...NETWORK, 'nft', 'list', 'tables'], { env: { PATH } });

/** The exit code, and the firewall and the routes of all addresses that are there afterwards. */
function startedBy(...words: string[]): string {
  // A socket as stdout, which the test may have, would be refused before all else.
  const script =
    '"$@" </dev/null >/dev/null 2>&1; echo $?; nft list tables; ip route show table local | grep default';
  const run = Bun.spawnSync([...NETWORK, 'sh', '-c', script, 'sh', ...words, ...INNER], { env: { PATH } });
  return run.stdout.toString();
}

const withChannel = `import os, socket, sys
near, far = socket.socketpair()
os.dup2(far.fileno(), 3)
os.execvp(sys.argv[1], sys.argv[1:])`;

describe.skipIf(!started.success)('the inside changes nothing', () => {
  test('when somebody starts it by hand', () => {
    expect(startedBy('sh', '-c', 'exec "$@" 3<&-', 'sh')).toBe('125\n');
    expect(startedBy('sh', '-c', 'exec "$@" 3</dev/null', 'sh')).toBe('125\n');
  });

  test('in the network of the outside', () => {
    expect(startedBy('python3', '-c', withChannel)).toBe('125\n');
  });
});
