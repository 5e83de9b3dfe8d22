/**
 * Run by a test in a network namespace of its own: raises a fence's network there, runs what the test gives, one
 * after the other, and prints what it saw as JSON. Arguments: the address families as digits, `log` or `silent`,
 * shell commands.
 */
import { type AddressInfo, createServer } from 'node:net';
import { addLocalRoutes, raiseLoopback } from './netlink.ts';
import { openRefusalLog, type RefusedPacket, readRefusals } from './nflog.ts';
import { applyRules } from './nftables.ts';
import { encodeRuleset } from './ruleset.ts';
import { originalDestination } from './sockets.ts';

const [digits = '46', logging = 'log', ...commands] = process.argv.slice(2);
const families = [...digits].map((digit) => (digit === '4' ? 4 : 6));

raiseLoopback();
addLocalRoutes(families);
const log = logging === 'log' ? openRefusalLog(7) : null;
const arrivals: { address: number[]; port: number }[] = [];
const server = createServer((socket) => {
  const { fd } = (socket as unknown as { _handle: { fd: number } })._handle;
  const found = originalDestination(fd, 4);
  if (found !== null) arrivals.push({ address: [...found.address], port: found.port });
  socket.end();
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const gatewayPort = (server.address() as AddressInfo).port;
applyRules(encodeRuleset({ families, gatewayPort, dnsPort: 65_053, logGroup: log === null ? null : 7 }));

let stdout = '';
let stderr = '';
const refusals: RefusedPacket[] = [];
for (const command of commands) {
  const child = Bun.spawn(['sh', '-c', command], { stdout: 'pipe', stderr: 'pipe' });
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  stdout += out;
  stderr += err;
  for (let some: RefusedPacket[] = []; log !== null; ) {
    some = readRefusals(log);
    refusals.push(...some);
    if (some.length === 0) break;
  }
}
const plain = refusals.map((each) => ({ ...each, address: [...each.address] }));
console.log(JSON.stringify({ stdout, stderr, arrivals, refusals: plain, gatewayPort }));
process.exit();
