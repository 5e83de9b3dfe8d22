/** The fence of the binary, whose rules and filters the build has worked out, is the fence of a checkout. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { join, resolve } from 'node:path';
import { createPerson, type Person, python, USERS, whyNoFence } from './rig/person.ts';

const reason = await whyNoFence();
if (reason !== null) console.warn(`skipped: no fence can be built here: ${reason}`);
const ROOT = resolve(import.meta.dir, '..');

/** What the firewall and the filter of system calls answer to what a command must not do, a line each. */
const ATTEMPTS = python(`
import ctypes, errno, socket
libc = ctypes.CDLL(None, use_errno=True)
def attempt(name, work):
    try: print(name, work() or 'done')
    except OSError as error: print(name, errno.errorcode[error.errno])
def datagram(family, to):
    with socket.socket(family, socket.SOCK_DGRAM) as one:
        one.settimeout(5)
        one.connect((to, 4433))
        one.send(b'x')
        one.recv(1)
def stream(family, to):
    with socket.create_connection((to, 4433), 5) as one: return one.recv(1).decode() or 'ended'
def call(function, *words):
    if function(*words) < 0: raise OSError(ctypes.get_errno(), '')
attempt('udp4', lambda: datagram(socket.AF_INET, '203.0.113.9'))
attempt('udp6', lambda: datagram(socket.AF_INET6, '2001:db8::9'))
attempt('tcp4', lambda: stream(socket.AF_INET, '203.0.113.9'))
attempt('packet', lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
attempt('vsock', lambda: socket.socket(40, socket.SOCK_STREAM))
attempt('raw', lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
attempt('firewall', lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12))
attempt('unshare', lambda: call(libc.unshare, 0x10000000))
attempt('mount', lambda: call(libc.mount, b'none', b'/tmp', b'tmpfs', 0, None))
`);

describe.skipIf(reason !== null)('a fence of the binary', () => {
  let person: Person;
  let binary: string;
  beforeAll(() => {
    person = createPerson(USERS[0]!);
    binary = join(person.folder, 'clawctl');
    const built = Bun.spawnSync([process.execPath, join(ROOT, 'scripts/build.ts'), binary]);
    if (!built.success) throw new Error(`${built.stderr}`);
  });
  afterAll(() => person.leave());

  function typed(program: string, ...words: string[]): string {
    const { stdout } = Bun.spawnSync([...person.command(null), program, 'egress', ...words], {
      cwd: person.workspace,
      env: person.environment,
    });
    return stdout.toString();
  }

  test('refuses and sees what one of a checkout does', () => {
    const seen = [join(ROOT, 'clawctl'), binary].map((program, index) => {
      const agent = `agent-${index}`;
      const answers = typed(program, 'run', '--quiet', '--agent', agent, '--', 'sh', '-c', ATTEMPTS);
      const { items } = JSON.parse(typed(program, 'blocked', '--json', '--agent', agent));
      const blocked = items.map(
        ({ host, port, reason }: Record<string, unknown>) => `${host} ${port} ${reason}`,
      );
      return { answers: answers.split('\n'), blocked: blocked.sort() };
    });
    expect(seen[0]!.answers).toEqual(
      expect.arrayContaining([
        'udp4 EPERM',
        'tcp4 ECONNRESET',
        'packet EAFNOSUPPORT',
        'firewall EPROTONOSUPPORT',
      ]),
    );
    expect(seen[0]!.answers.filter((answer) => answer.includes('done'))).toEqual([]);
    expect(seen[0]!.blocked).toEqual(
      expect.arrayContaining(['203.0.113.9 4433 no-rule', '203.0.113.9 4433 protocol']),
    );
    expect(seen[1]).toEqual(seen[0]!);
  });
});
