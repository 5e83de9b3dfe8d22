import { afterAll, describe, expect, test } from 'bun:test';
import { once } from 'node:events';
import {
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { closeDescriptor } from '../os/descriptors.ts';
import { landlockAbi } from '../os/landlock.ts';
import { statusOf } from '../os/process.ts';
import { knockAtPort, knockAtUnixSocket, networkNamespaceOf, openDatagram } from '../os/sockets.ts';
import { bytesToText } from './handshake.ts';
import { runUnfenced, startInside, USER, whyNot } from './inside.fixture.ts';

const reason = whyNot();
if (reason !== null) console.warn(`skipped: the inside of a fence cannot be started here: ${reason}`);

const scratch = mkdtempSync('/var/tmp/clawctl-inner-');
// overlayfs leaves a folder that nobody may enter, which rmSync cannot remove.
afterAll(() => void Bun.spawnSync(['rm', '-rf', scratch]));

/** A folder of the ordinary user's. */
function folder(name: string): string {
  const path = `${scratch}/${name}`;
  mkdirSync(path, { recursive: true });
  chownSync(path, USER, USER);
  chownSync(scratch, USER, USER);
  return path;
}

function file(path: string, text: string): void {
  writeFileSync(path, text);
  chownSync(path, USER, USER);
}

const shell = (script: string) => ['sh', '-c', script];
const python = (script: string) => ['python3', '-c', script];

describe.if(reason === null)('the inside, before the command', () => {
  test('has no capability, no way to new ones and a filter, in the eyes of the outside', async () => {
    const inside = startInside({ command: ['true'] });
    const status = statusOf(inside.locked.pid)!;
    expect({ ...status, parent: 0, ignoredSignals: 0n }).toEqual({
      capEff: 0n,
      capPrm: 0n,
      capInh: 0n,
      capBnd: 0n,
      capAmb: 0n,
      noNewPrivs: true,
      seccomp: 2,
      ignoredSignals: 0n,
      uid: USER,
      parent: 0,
    });
    expect(statusOf(status.parent)!.seccomp).toBe(2); // bwrap's own process, which the command could trace
    expect(await inside.finish()).toMatchObject({ code: 0, failure: null });
  });

  test('hands out sockets of one network namespace that is not ours', async () => {
    const inside = startInside({ command: ['true'] });
    const own = openDatagram('loopback4', 0);
    const { message, descriptors } = inside.network;
    expect(message.sockets).toEqual(['tcp', 'dnsUdp4', 'dnsTcp4', 'dnsUdp6', 'dnsTcp6', 'refusals']);
    const namespaces = new Set(descriptors.map(networkNamespaceOf));
    expect(namespaces.size).toBe(1);
    expect(namespaces.has(networkNamespaceOf(own))).toBe(false);
    closeDescriptor(own);
    await inside.finish();
  });

  test('ends without running anything when the outside ends', async () => {
    const witness = `${folder('witness')}/ran`;
    const inside = startInside({
      command: ['touch', witness],
      bwrap: ['--bind', folder('witness'), folder('witness')],
    });
    closeDescriptor(inside.channel);
    expect(await inside.exited).toBe(125);
    expect(readdirSync(folder('witness'))).toEqual([]);
  });

  test('reaches none of the canaries that the outside opened', async () => {
    const visits: string[] = [];
    const name = `clawctl-canary-${process.pid}`;
    const tcp = createServer(() => visits.push('tcp')).listen(0, '127.0.0.1');
    const unix = createServer(() => visits.push('unix')).listen(`\0${name}`);
    await Promise.all([once(tcp, 'listening'), once(unix, 'listening')]);
    const { port } = tcp.address() as AddressInfo;
    const inside = startInside({
      command: ['true'],
      plan: {
        canaries: [
          { kind: 'loopback', family: 4, port },
          { kind: 'unix', name, abstract: true },
        ],
      },
    });
    // The same knocks from here are heard, and they are the first.
    knockAtPort(4, port);
    await once(tcp, 'connection');
    knockAtUnixSocket(Buffer.from(name), true);
    await once(unix, 'connection');
    expect(visits).toEqual(['tcp', 'unix']);
    tcp.close();
    unix.close();
    await inside.finish();
  });

  test('refuses a socket in the place of stdin', () => {
    expect(() => startInside({ command: ['true'], stdin: 'socket' })).toThrow(
      expect.objectContaining({ step: 'descriptors', exit: 125 }),
    );
  });

  test('names the step and the error that ended it', () => {
    expect(() => startInside({ command: ['true'], plan: { cwd: '/no/such' } })).toThrow(
      expect.objectContaining({ step: 'cwd', call: 'chdir', errno: 'ENOENT', exit: 125 }),
    );
  });
});

describe.if(reason === null)('the command', () => {
  test('has its arguments and its environment byte for byte', async () => {
    const odd = bytesToText(Buffer.from([0xff, 0x20, 0xc3, 0xa4, 0x0a]));
    const inside = startInside({
      command: ['sh', '-c', 'printf %s "$1"; printf "|%s|" "$ODD"; env', 'sh', 'ä'],
      plan: { environment: [`ODD=${odd}`, 'PATH=/usr/bin:/bin'] },
    });
    const { stdout } = await inside.finish();
    const [argument, variable, rest] = stdout.split('|');
    expect(argument).toBe(bytesToText('ä'));
    expect(variable).toBe(odd);
    expect(rest).not.toContain('BUN');
  });

  test('has three descriptors, default signals, its own group and the given limit of open files', async () => {
    const script = `
import os, resource
print(sorted(fd for fd in map(int, os.listdir("/proc/self/fd")) if os.path.exists(f"/proc/self/fd/{fd}")))
print(os.getpgid(0) == os.getpid(), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
print([l.split()[1] for l in open("/proc/self/status") if l[:6] in ("SigBlk", "SigIgn")])`;
    // Python ignores SIGPIPE and SIGXFSZ itself, so the signals are asked of a shell.
    const inside = startInside({
      command: ['sh', '-c', 'grep -E "SigIgn|SigBlk" /proc/self/status; exec python3 -c "$1"', 'sh', script],
      plan: { openFiles: 777, ignoredSignals: [1] },
    });
    const lines = (await inside.finish()).stdout.trim().split('\n');
    expect(lines[0]).toMatch(/SigBlk:\s0{16}/);
    expect(lines[1]).toMatch(/SigIgn:\s0{16}/); // nothing was ignored to begin with
    expect(lines[2]).toBe('[0, 1, 2]');
    expect(lines[3]).toBe('True 777');
  });

  test('passes its exit code on', async () => {
    expect(await startInside({ command: shell('exit 42') }).finish()).toMatchObject({
      code: 42,
      failure: null,
    });
  });

  test('that does not exist ends with 127, one that cannot be run with 126', async () => {
    expect(await startInside({ command: ['no-such-command'] }).finish()).toMatchObject({
      code: 127,
      failure: { step: 'execute', errno: 'ENOENT', detail: 'no-such-command', exit: 127 },
    });
    expect(await startInside({ command: ['/etc/passwd'] }).finish()).toMatchObject({
      code: 126,
      failure: { step: 'execute', errno: 'EACCES' },
    });
  });

  test('may be a script without a first line', async () => {
    const script = `${folder('scripts')}/plain`;
    file(script, 'echo ran with "$1"\n');
    Bun.spawnSync(['chmod', '755', script]);
    expect((await startInside({ command: [script, 'this'] }).finish()).stdout).toBe('ran with this\n');
  });
});

describe.if(reason === null)('a command inside cannot', () => {
  const trace = 'import ctypes, sys; sys.exit(-ctypes.CDLL(None).ptrace(0x4206, 1, 0, 0))';
  const refused: [string, string[]][] = [
    ['open a vsock', python('import socket; socket.socket(40, 1)')],
    ['open a packet socket', python('import socket; socket.socket(17, 3)')],
    ['open a raw socket', python('import socket; socket.socket(2, 3, 1)')],
    ['ask netfilter anything', python('import socket; socket.socket(16, 3, 12)')],
    ['see the firewall', ['nft', 'list', 'ruleset']],
    ['make a user namespace', ['unshare', '--user', 'true']],
    ['mount', ['mount', '-t', 'tmpfs', 'tmpfs', '/tmp']],
    ['make a file setuid', shell('touch /tmp/x && chmod 4755 /tmp/x')],
    ['create a setuid file', python('import os; os.close(os.open("/tmp/y", 0o101, 0o4755))')],
  ];
  // What only Landlock's scopes refuse; elsewhere the first process has a filter of its own and nothing to lose.
  if (landlockAbi() >= 6)
    refused.push(
      ['write the memory of the first process', shell('exec 4>/proc/1/mem')],
      ['trace the first process', python(trace)],
      ['signal the first process', ['kill', '-CONT', '1']],
    );
  for (const [what, command] of refused)
    test(what, async () => {
      const asked = shell('"$@" 2>/dev/null && echo done || echo refused').concat('sh', command);
      expect(runUnfenced(asked)).toBe('done\n'); // or the test would prove nothing
      const inside = startInside({ command: asked, guard: false });
      expect((await inside.finish()).stdout).toBe('refused\n');
    });
});

describe.if(reason === null)('a command inside can', () => {
  const allowed: [string, string[]][] = [
    ['list interfaces and addresses', ['ip', 'addr']],
    ['trace its own children', ['strace', '-o', '/dev/null', 'true']],
    [
      'use pipes, threads and UNIX sockets',
      python(
        'import socket, threading; socket.socketpair(); t = threading.Thread(target=print); t.start(); t.join()',
      ),
    ],
    ['make files of ordinary modes', shell('touch /tmp/z && chmod 1755 /tmp/z && mkdir -m 1777 /tmp/d')],
    ['rename across folders', shell('mkdir /tmp/a /tmp/b && touch /tmp/a/f && mv /tmp/a/f /tmp/b/g')],
  ];
  for (const [what, command] of allowed)
    test(what, async () => {
      expect((await startInside({ command }).finish()).code).toBe(0);
    });
});

describe.if(reason === null)('a file of the fence’s own', () => {
  const shown = 'stat -c %a "$1"; cat "$1"; chmod 600 "$1" 2>&1 | grep -o "Read-only file system"';
  const stage = ['--tmpfs', '/tmp/stage', '--tmpfs', '/tmp/empty'];
  const put = (target: string) =>
    startInside({
      command: ['sh', '-c', shown, 'sh', target],
      bwrap: stage,
      plan: {
        mounts: [
          { kind: 'file', source: '/tmp/stage/one', target, content: 'of the fence\n' },
          { kind: 'detach', target: '/tmp/stage' },
        ],
      },
    }).finish();

  test('takes the place of another, to be read by everybody and written by nobody', async () => {
    const before = readFileSync('/etc/hosts', 'utf8');
    const mask = process.umask(0o777);
    const { stdout } = await put('/etc/hosts').finally(() => process.umask(mask));
    expect(stdout).toBe('444\nof the fence\nRead-only file system\n');
    expect(readFileSync('/etc/hosts', 'utf8')).toBe(before);
  });

  test('is made with its folders where a folder of the fence’s own is empty', async () => {
    expect((await put('/tmp/empty/a/b/resolv.conf')).stdout).toBe(
      '444\nof the fence\nRead-only file system\n',
    );
  });

  test('stops the start where it can be put nowhere', () => {
    expect(() => put('/etc/no/such')).toThrow(expect.objectContaining({ step: 'mount', errno: 'EROFS' }));
  });
});

describe.if(reason === null)('the layers', () => {
  test('take the changes, and the folder below stays as it was', async () => {
    const home = folder('home, with: odd\\name');
    const layer = folder('layer');
    for (const name of ['upper', 'work']) folder(`layer/${name}`);
    for (const name of ['.ssh', 'project']) folder(`home, with: odd\\name/${name}`);
    file(`${home}/.ssh/key`, 'secret');
    file(`${home}/.netrc`, 'secret');
    file(`${home}/kept`, 'as it was');
    symlinkSync('elsewhere', `${home}/.linked`);
    file(`${folder('home, with: odd\\name/elsewhere')}/token`, 'secret');
    const inside = startInside({
      command: shell(
        'echo changed > kept; cat .ssh/key .netrc elsewhere/token; touch .ssh/new; echo for real > project/made; ls /tmp/stage',
      ),
      bwrap: ['--bind', layer, '/tmp/stage/layer', '--bind', `${home}/project`, '/tmp/stage/project'],
      plan: {
        cwd: home,
        mounts: [
          {
            kind: 'overlay',
            lower: home,
            upper: '/tmp/stage/layer/upper',
            work: '/tmp/stage/layer/work',
            target: home,
            spare: null,
            memory: 0,
          },
          { kind: 'move', source: '/tmp/stage/project', target: `${home}/project` },
          { kind: 'hide', target: `${home}/.ssh` },
          { kind: 'hide', target: `${home}/.netrc` },
          { kind: 'hide', target: `${home}/.aws` },
          { kind: 'hide', target: `${home}/.linked` },
          { kind: 'hide', target: '/root/.ssh/id_rsa' },
          { kind: 'detach', target: '/tmp/stage/layer' },
        ],
      },
    });
    expect(inside.locked.message.layers).toEqual(['kept']);
    const { stdout } = await inside.finish();
    expect(stdout).not.toContain('secret');
    expect(readFileSync(`${home}/kept`, 'utf8')).toBe('as it was');
    expect(readFileSync(`${layer}/upper/kept`, 'utf8')).toBe('changed\n');
    expect(readFileSync(`${home}/project/made`, 'utf8')).toBe('for real\n');
    expect(readdirSync(`${home}/.ssh`)).toEqual(['key']);
  });

  test('live in memory where the file system cannot hold them', async () => {
    const home = folder('home2');
    file(`${home}/kept`, 'as it was');
    folder('nested');
    for (const name of ['upper', 'work', 'work2']) folder(`nested/${name}`);
    const overlay = { kind: 'overlay', lower: home, spare: null, memory: 1 << 20 } as const;
    const stage = '/tmp/stage';
    const inside = startInside({
      command: shell('echo changed > kept; cat kept; stat -c %a .'),
      bwrap: ['--bind', folder('nested'), stage, '--dir', '/tmp/spare', '--dir', '/tmp/over'],
      plan: {
        cwd: home,
        mounts: [
          // An overlay whose changes would land in an overlay, as in a container.
          { ...overlay, upper: `${stage}/upper`, work: `${stage}/work`, target: '/tmp/over' },
          { ...overlay, upper: '/tmp/over', work: `${stage}/work2`, target: home, spare: '/tmp/spare' },
        ],
      },
    });
    expect(inside.locked.message.layers).toEqual(['kept', 'memory']);
    expect((await inside.finish()).stdout).toBe('changed\n755\n');
    expect(readFileSync(`${home}/kept`, 'utf8')).toBe('as it was');
  });
});
