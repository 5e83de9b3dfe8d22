import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { ALLOW, failWith, KILL_PROCESS } from './bpf.ts';
import { filterProgram, type Stage } from './seccomp.ts';
import { type Architecture, AUDIT_ARCHITECTURE, numberOf, type SystemCall } from './syscalls.ts';

const EPERM = failWith(1);
const ENOSYS = failWith(38);
const EPROTONOSUPPORT = failWith(93);
const EAFNOSUPPORT = failWith(97);

/** Runs a program as the kernel would (seccomp_run_filters) and answers its action. */
function interpret(program: Buffer, data: Buffer): number {
  let accumulator = 0;
  for (let at = 0; ; at++) {
    if (8 * at >= program.length) throw new Error('ran off the end');
    const code = program.readUInt16LE(8 * at);
    const operand = program.readUInt32LE(8 * at + 4);
    const jump = (condition: boolean) => {
      at += program[8 * at + (condition ? 2 : 3)]!;
    };
    if (code === 0x20) accumulator = data.readUInt32LE(operand);
    else if (code === 0x54) accumulator = (accumulator & operand) >>> 0;
    else if (code === 0x15) jump(accumulator === operand);
    else if (code === 0x35) jump(accumulator >= operand);
    else if (code === 0x45) jump((accumulator & operand) >>> 0 !== 0);
    else if (code === 0x06) return operand;
    else throw new Error(`operation 0x${code.toString(16)}`);
  }
}

interface Call {
  number: number;
  args?: (number | bigint)[];
  audit?: number;
}

function runner(stage: Stage, architecture: Architecture) {
  const program = filterProgram(stage, architecture);
  return ({ number, args = [], audit = AUDIT_ARCHITECTURE[architecture] }: Call) => {
    const data = Buffer.alloc(64);
    data.writeUInt32LE(number, 0);
    data.writeUInt32LE(audit, 4);
    args.forEach((each, index) => {
      data.writeBigUInt64LE(BigInt.asUintN(64, BigInt(each)), 16 + 8 * index);
    });
    return interpret(program, data);
  };
}

for (const architecture of ['x64', 'arm64'] as const) {
  describe(`the filter for ${architecture}`, () => {
    const run = runner('command', architecture);
    const action = (call: SystemCall, ...args: (number | bigint)[]) => {
      const number = numberOf(call, architecture);
      return number === null ? null : run({ number, args });
    };
    const has = (call: SystemCall) => numberOf(call, architecture) !== null;

    test('opens sockets of UNIX, IPv4 and IPv6, streams and datagrams', () => {
      for (const family of [1, 2, 10])
        for (const type of [1, 2, 1 | 0o2000000, 2 | 0o4000])
          expect(action('socket', family, type, 0)).toBe(ALLOW);
      for (const protocol of [6, 17]) expect(action('socket', 2, 1, protocol)).toBe(ALLOW);
    });

    test('opens no socket of another family', () => {
      for (let family = 0; family < 64; family++)
        if (![1, 2, 10, 16].includes(family))
          for (const call of ['socket', 'socketpair'] as const)
            expect(action(call, family, 1, 0)).toBe(EAFNOSUPPORT);
      expect(action('socket', 40, 1, 0)).toBe(EAFNOSUPPORT); // vsock
      expect(action('socket', 17, 3, 0)).toBe(EAFNOSUPPORT); // packet
    });

    test('opens no raw and no packet socket, whatever flags are set', () => {
      for (const family of [2, 10])
        for (const type of [3, 4, 5, 6, 10])
          for (const flags of [0, 0o4000, 0o2000000, 0o2004000])
            expect(action('socket', family, type | flags, 0)).toBe(EPERM);
    });

    test('opens no socket of an unusual protocol', () => {
      for (const protocol of [132, 136, 255, 262])
        expect(action('socket', 2, 1, protocol)).toBe(EPROTONOSUPPORT);
    });

    test('lets netlink tell of addresses and routes and nothing else', () => {
      expect(action('socket', 16, 3, 0)).toBe(ALLOW);
      for (let protocol = 1; protocol < 32; protocol++)
        expect(action('socket', 16, 3, protocol)).toBe(EPROTONOSUPPORT);
    });

    test('is not fooled by bits above those that the kernel looks at', () => {
      const high = 0xdead_beefn << 32n;
      expect(action('socket', high | 40n, 1, 0)).toBe(EAFNOSUPPORT);
      expect(action('ioctl', 0, high | 0x5412n)).toBe(EPERM);
      expect(action('fchmod', 3, high | 0o4755n)).toBe(EPERM);
      expect(action('unshare', high | 0x10000000n)).toBe(EPERM);
    });

    test('types into no terminal, and lets other controls through', () => {
      for (const request of [0x5412, 0x541c]) expect(action('ioctl', 0, request)).toBe(EPERM);
      for (const request of [0x5401, 0x5413, 0x540f]) expect(action('ioctl', 0, request)).toBe(ALLOW);
    });

    test('makes no user namespace, and lets processes and threads start', () => {
      for (const call of ['clone', 'unshare'] as const) {
        expect(action(call, 0x10000000)).toBe(EPERM);
        expect(action(call, 0x10000000 | 0x40000000 | 17)).toBe(EPERM);
        expect(action(call, 0x003d0f00)).toBe(ALLOW);
      }
      expect(action('clone3', 0, 0)).toBe(ENOSYS);
    });

    test('gives no file the setuid or setgid bit', () => {
      const modeAt: [SystemCall, number][] = [
        ['chmod', 1],
        ['fchmod', 1],
        ['creat', 1],
        ['mknod', 1],
        ['fchmodat', 2],
        ['fchmodat2', 2],
        ['mknodat', 2],
      ];
      for (const [call, position] of modeAt.filter(([name]) => has(name))) {
        const withMode = (mode: number) => action(call, ...Array(position).fill(0), mode);
        for (const mode of [0o4755, 0o2755, 0o6777, 0o104755]) expect(withMode(mode)).toBe(EPERM);
        for (const mode of [0o755, 0o1777, 0o100644]) expect(withMode(mode)).toBe(ALLOW);
      }
    });

    test('looks at the mode of open only where it creates', () => {
      const opens: [SystemCall, number[]][] = [
        ['open', [0]],
        ['openat', [0, 0]],
      ];
      for (const [call, before] of opens.filter(([name]) => has(name))) {
        expect(action(call, ...before, 0o100, 0o4755)).toBe(EPERM);
        expect(action(call, ...before, 0o20200000 | 2, 0o2755)).toBe(EPERM);
        expect(action(call, ...before, 0o100, 0o644)).toBe(ALLOW);
        expect(action(call, ...before, 0, 0o7777)).toBe(ALLOW);
      }
      expect(action('openat2', 0, 0, 0, 24)).toBe(ENOSYS);
    });

    test('refuses what goes around the fence', () => {
      for (const call of ['io_uring_setup', 'io_uring_enter', 'io_uring_register'] as const)
        expect(action(call)).toBe(ENOSYS);
      const refused: SystemCall[] = [
        ...['mount', 'umount2', 'pivot_root', 'chroot', 'fsopen', 'fsconfig', 'fsmount', 'fspick'],
        ...['move_mount', 'open_tree', 'open_tree_attr', 'mount_setattr', 'setns', 'open_by_handle_at'],
        ...['process_vm_readv', 'process_vm_writev', 'pidfd_getfd', 'bpf', 'perf_event_open', 'userfaultfd'],
        ...['keyctl', 'add_key', 'request_key', 'kexec_load', 'init_module', 'finit_module', 'syslog'],
      ] as SystemCall[];
      for (const call of refused) expect(action(call)).toBe(EPERM);
    });

    test('kills what speaks the numbers of another architecture', () => {
      const other = architecture === 'x64' ? AUDIT_ARCHITECTURE.arm64 : AUDIT_ARCHITECTURE.x64;
      for (const audit of [0x40000003, 0x40000028, other, 0])
        expect(run({ number: 0, audit })).toBe(KILL_PROCESS);
    });

    test('ends in a known action for every call and argument', () => {
      const known = new Set([ALLOW, KILL_PROCESS, EPERM, ENOSYS, EPROTONOSUPPORT, EAFNOSUPPORT]);
      const word = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
      fc.assert(
        fc.property(fc.integer({ min: 0, max: 600 }), fc.array(word, { maxLength: 6 }), (number, args) =>
          known.has(run({ number, args })),
        ),
      );
    });

    test('leaves the setup what it needs and nothing more', () => {
      const setup = runner('setup', architecture);
      const differing = new Set<number>();
      for (let number = 0; number < 600; number++)
        if (setup({ number }) !== run({ number })) differing.add(number);
      const mounting = [
        'mount',
        'umount2',
        'pivot_root',
        'chroot',
        'open_tree',
        'open_tree_attr',
        'move_mount',
      ];
      mounting.push('fsopen', 'fsconfig', 'fsmount', 'fspick', 'mount_setattr');
      const expected = new Set(mounting.map((call) => numberOf(call as SystemCall, architecture)!));
      expect(differing).toEqual(expected);
      expect(setup({ number: numberOf('socket', architecture)!, args: [16, 3, 12] })).toBe(ALLOW);
      expect(setup({ number: numberOf('socket', architecture)!, args: [40, 1, 0] })).toBe(EAFNOSUPPORT);
    });
  });
}

test('the x32 numbers of x86-64 are not implemented', () => {
  const run = runner('command', 'x64');
  for (const number of [0x40000000, 0x40000029, 0x7fffffff, 0xffffffff]) expect(run({ number })).toBe(ENOSYS);
});
