/** What a fence needs of this machine, found out by building one. */
import { Failure } from '../base/failure.ts';
import { pathsOf } from '../base/paths.ts';
import { closeDescriptor } from '../os/descriptors.ts';
import { landlockAbi } from '../os/landlock.ts';
import { findBubblewrap, isInFence, probeBubblewrap } from './kernel.ts';
import { launch } from './launch.ts';

export interface Finding {
  /** What was looked at, in a word or two. */
  name: string;
  /** `warning`: a fence can be built, but something is missing. */
  state: 'ok' | 'warning' | 'broken';
  text: string;
  /** What to do, where something is to be done. */
  fix: string | null;
}

const LANDLOCK_SCOPES = 6;
const LANDLOCK_FILES = 2;

/** In the order in which they matter. Builds a fence around nothing and takes it down; never throws. */
export async function probeKernel(): Promise<Finding[]> {
  if (isInFence(process.env))
    return [finding('fence', 'broken', 'this already runs inside a fence', 'Run it outside.')];
  const findings: Finding[] = [];
  let bwrap: string;
  try {
    bwrap = findBubblewrap();
    findings.push(finding('bubblewrap', 'ok', bwrap));
  } catch (error) {
    return [ofFailure('bubblewrap', error)];
  }
  const trouble = probeBubblewrap(bwrap);
  if (trouble !== null) return [...findings, finding('namespaces', 'broken', trouble.what, trouble.fix)];
  findings.push(finding('namespaces', 'ok', 'user, network, process and IPC namespaces can be made'));
  findings.push(ofLandlock(landlockAbi()));
  findings.push(...(await ofFence()));
  return findings;
}

function ofLandlock(abi: number): Finding {
  if (abi >= LANDLOCK_SCOPES) return finding('landlock', 'ok', `version ${abi}: signals, tracing and FIFOs`);
  const missing =
    abi >= LANDLOCK_FILES ? 'no scopes for signals' : 'FIFOs in read-only folders can be written to';
  return finding(
    'landlock',
    'warning',
    `version ${abi}: ${missing}`,
    'Use Linux 6.12 or later, with landlock among the security modules (lsm=).',
  );
}

/** A whole fence, with the layer where it really lies, in which nothing is started. */
async function ofFence(): Promise<Finding[]> {
  const environment = Object.fromEntries(
    Object.entries(process.env).filter(([, value]) => value !== undefined),
  ) as Record<string, string>;
  const paths = pathsOf();
  try {
    const sandbox = await launch({
      ...{ command: ['true'], agent: 'clawctl-doctor', session: 'doctor', cwd: '/' },
      ...{
        writes: [],
        reads: [],
        sockets: [],
        fresh: true,
        quiet: true,
        environment,
        paths,
        policyFiles: [],
        dialers: 0,
      },
    });
    let refusalLog: number | null;
    try {
      const network = await sandbox.network();
      const { tcp, dnsTcp, dnsUdp } = network.listeners;
      for (const fd of [tcp, ...dnsTcp, ...dnsUdp]) closeDescriptor(fd);
      refusalLog = network.refusalLog;
      await sandbox.verify();
    } finally {
      await sandbox.stop();
    }
    const isIn = (part: string) => sandbox.notices.some((notice) => notice.includes(part));
    return [
      finding('network', 'ok', 'the fence has its firewall and its listeners, and holds'),
      isIn('IPv6')
        ? finding('IPv6', 'warning', 'this kernel has none: fences are of IPv4 alone')
        : finding('IPv6', 'ok', 'in the fence too'),
      isIn('kept in memory')
        ? finding(
            'home',
            'warning',
            'the copy of the home lives in memory and is dropped at the end',
            'Set XDG_STATE_HOME to a folder on another file system, such as ext4, xfs or btrfs.',
          )
        : finding('home', 'ok', 'its copy-on-write layer is kept'),
      refusalLog === null
        ? finding(
            'packet log',
            'warning',
            'refused packets are not seen',
            'modprobe -a nfnetlink_log nft_log',
          )
        : finding('packet log', 'ok', 'refused packets are seen'),
    ];
  } catch (error) {
    return [ofFailure('fence', error)];
  }
}

function ofFailure(name: string, error: unknown): Finding {
  if (error instanceof Failure) return finding(name, 'broken', error.message, error.fix ?? null);
  return finding(name, 'broken', String(error));
}

function finding(name: string, state: Finding['state'], text: string, fix: string | null = null): Finding {
  return { name, state, text, fix };
}
