/** Against the kernel, in a network namespace of the test's own. `nft` reads back what the kernel understood. */
import { describe, expect, test } from 'bun:test';

const inNamespace = ['unshare', '--user', '--map-root-user', '--net'];
const works = (command: string[]) => {
  try {
    return Bun.spawnSync([...inNamespace, ...command], { stdout: 'ignore', stderr: 'ignore' }).success;
  } catch {
    return false;
  }
};
const hasNft = works(['nft', 'list', 'ruleset']);
const hasPython = works(['python3', '-c', 'pass']);
if (!hasNft) console.warn('skipped: reading the ruleset back needs unshare, user namespaces and nft');
if (!hasPython) console.warn('skipped: sending packets needs unshare, user namespaces and python3');

interface Seen {
  stdout: string;
  stderr: string;
  arrivals: { address: number[]; port: number }[];
  refusals: { protocol: number; address: number[]; port: number | null; missed: number }[];
  gatewayPort: number;
}

function inFence(command: string | string[], families = '46', logging: 'log' | 'silent' = 'log'): Seen {
  const program = [process.execPath, `${import.meta.dir}/fence.fixture.ts`, families, logging].concat(
    command,
  );
  const { stdout, stderr } = Bun.spawnSync([...inNamespace, ...program]);
  try {
    return JSON.parse(stdout.toString());
  } catch {
    throw new Error(stderr.toString());
  }
}

function python(script: string): string {
  return `python3 - <<'EOF'\nimport socket, errno\n${script}\nEOF`;
}

describe.if(hasNft)('the firewall as nft reads it back', () => {
  test('redirects DNS and TCP, leaves loopback alone, logs and refuses the rest', () => {
    const { stdout, stderr, gatewayPort } = inFence('nft list ruleset');
    expect(stderr).toBe('');
    expect(stdout.replace(/\t/g, '  ').trim()).toBe(`table ip clawctl {
  chain redirection {
    type nat hook output priority -100; policy accept;
    udp dport 53 redirect to :65053
    tcp dport 53 redirect to :65053
    ip daddr 127.0.0.0/8 accept
    meta l4proto tcp redirect to :${gatewayPort}
  }

  chain refusal {
    type filter hook output priority filter; policy drop;
    ct state established,related accept
    ip daddr 127.0.0.0/8 accept
    ct state invalid reject with tcp reset
    log group 7 snaplen 128
    reject with tcp reset
    reject with icmp admin-prohibited
  }
}
table ip6 clawctl {
  chain redirection {
    type nat hook output priority -100; policy accept;
    udp dport 53 redirect to :65053
    tcp dport 53 redirect to :65053
    ip6 daddr ::1 accept
    meta l4proto tcp redirect to :${gatewayPort}
  }

  chain refusal {
    type filter hook output priority filter; policy drop;
    ct state established,related accept
    ip6 daddr ::1 accept
    ct state invalid reject with tcp reset
    log group 7 snaplen 128
    reject with tcp reset
    reject with icmpv6 admin-prohibited
  }
}`);
  });

  test('has no IPv6 where the kernel has none', () => {
    const { stdout } = inFence('nft list ruleset', '4');
    expect(stdout).toContain('table ip clawctl');
    expect(stdout).not.toContain('ip6');
  });

  test('refuses as well without a log', () => {
    const { stdout } = inFence('nft list ruleset', '46', 'silent');
    expect(stdout).not.toContain('log');
    expect(stdout.match(/reject with/g)).toHaveLength(6);
  });

  test('names the message that the kernel refused', () => {
    expect(() => inFence('true', '44')).toThrow(/RTM_NEWROUTE \(IPv4\).*EEXIST/);
  });

  // Only the last message of a batch asks for an answer; here it is one in the middle that the kernel does not know.
  test('is in force whole or not at all', () => {
    const script = `
      import { applyRules } from '${import.meta.dir}/nftables.ts';
      import { encodeRuleset } from '${import.meta.dir}/ruleset.ts';
      const rules = encodeRuleset({ families: [4, 6], gatewayPort: 1, dnsPort: 2, logGroup: null });
      let refused = '';
      try {
        applyRules({ ...rules, text: rules.text.replace('redir\\0', 'wrong\\0') });
      } catch (error) {
        refused = error.message;
      }
      const { stdout } = Bun.spawnSync(['nft', 'list', 'ruleset']);
      console.log(JSON.stringify({ refused, left: stdout.toString() }));`;
    const { stdout, stderr } = Bun.spawnSync([...inNamespace, process.execPath, '-e', script]);
    expect(`${stderr}`).toBe('');
    expect(JSON.parse(`${stdout}`)).toEqual({
      refused: expect.stringMatching(/^nftables rule redirection 1 \(IPv4\).*ENOENT/),
      left: '',
    });
  });
});

describe.if(hasPython)('a packet behind the firewall', () => {
  test('of TCP arrives at the gateway, which learns where it was going', () => {
    const { arrivals, refusals } = inFence(
      python(`
for host, port in (("198.18.0.1", 443), ("8.8.8.8", 22), ("255.1.2.3", 9)):
    socket.create_connection((host, port), 5).recv(1)`),
    );
    expect(arrivals).toEqual([
      { address: [198, 18, 0, 1], port: 443 },
      { address: [8, 8, 8, 8], port: 22 },
      { address: [255, 1, 2, 3], port: 9 },
    ]);
    expect(refusals).toEqual([]);
  });

  test('of UDP or ICMP is refused at once and seen outside', () => {
    const { stdout, refusals } = inFence(
      python(`
def send(family, kind, protocol, to):
    try: socket.socket(family, kind, protocol).sendto(b"\\x08" * 8, to); print("sent")
    except OSError as error: print(errno.errorcode[error.errno])
send(socket.AF_INET, socket.SOCK_DGRAM, 0, ("8.8.8.8", 443))
send(socket.AF_INET6, socket.SOCK_DGRAM, 0, ("2001:db8::7", 443))
send(socket.AF_INET, socket.SOCK_RAW, 1, ("192.0.2.1", 0))
send(socket.AF_INET, socket.SOCK_DGRAM, 0, ("224.0.0.251", 5353))`),
    );
    expect(stdout.trim().split('\n')).toEqual(['EPERM', 'EPERM', 'EPERM', 'EPERM']);
    expect(refusals).toEqual([
      { protocol: 17, address: [8, 8, 8, 8], port: 443, missed: 0 },
      {
        protocol: 17,
        address: [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7],
        port: 443,
        missed: 0,
      },
      { protocol: 1, address: [192, 0, 2, 1], port: null, missed: 0 },
      { protocol: 17, address: [224, 0, 0, 251], port: 5353, missed: 0 },
    ]);
  });

  test('between programs inside is left alone', () => {
    const { stdout, arrivals, refusals } = inFence(
      python(`
for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
    server = socket.socket(family); server.bind((host, 0)); server.listen()
    client = socket.create_connection(server.getsockname()[:2]); client.sendall(b"tcp")
    print(server.accept()[0].recv(9))
    receiver = socket.socket(family, socket.SOCK_DGRAM); receiver.bind((host, 0))
    socket.socket(family, socket.SOCK_DGRAM).sendto(b"udp", receiver.getsockname()[:2])
    print(receiver.recv(9))`),
    );
    expect(stdout.trim().split('\n')).toEqual(["b'tcp'", "b'udp'", "b'tcp'", "b'udp'"]);
    expect({ arrivals, refusals }).toEqual({ arrivals: [], refusals: [] });
  });

  test('that was lost in a flood is counted all the same', () => {
    const send = (count: number) =>
      python(`
flood = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for number in range(${count}):
    try: flood.sendto(b"", ("192.0.2.9", 1))
    except OSError: pass`);
    const { refusals } = inFence([send(20_000), send(1)]);
    expect(refusals.length).toBeLessThan(20_000);
    expect(refusals.reduce((sum, each) => sum + 1 + each.missed, 0)).toBe(20_001);
  });
});
