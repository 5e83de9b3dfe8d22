/** Why a kernel, a container or bubblewrap would not build a fence, and what to change. */
import { existsSync, readFileSync } from 'node:fs';
import { Failure } from '../base/failure.ts';
import { statusOf } from '../os/process.ts';
import { BARE_ENVIRONMENT, FENCE_VARIABLE } from './environment.ts';
import type { FailureReport } from './handshake.ts';
import { systemProgram } from './program.ts';

interface Trouble {
  what: string;
  fix: string;
}

const setting = (name: string): string | null => {
  try {
    return readFileSync(`/proc/sys/${name}`, 'utf8').trim();
  } catch {
    return null; // this kernel does not have it
  }
};

const FILTER = 2;
const isFiltered = () => statusOf('self')?.seccomp === FILTER;
const isContainer = () => existsSync('/.dockerenv') || existsSync('/run/.containerenv');

/** Whether this process already runs in a fence. The variable alone could be anybody's. */
export function isInFence(environment: Readonly<Record<string, string | undefined>>): boolean {
  return environment[FENCE_VARIABLE] !== undefined && isFiltered() && statusOf('self')!.noNewPrivs;
}

/** bubblewrap's path. Throws Failure where there is none that may be trusted. */
export function findBubblewrap(): string {
  const path = systemProgram('bwrap');
  if (path !== null) return path;
  throw new Failure(
    'sandbox-missing',
    'bubblewrap is not installed: there is no bwrap in /usr/bin, /bin or /usr/local/bin that only root can change.',
    `Install it: ${installCommand()}`,
  );
}

function installCommand(): string {
  const ways = {
    'apt-get': 'apt-get install',
    dnf: 'dnf install',
    pacman: 'pacman -S',
    apk: 'apk add',
    zypper: 'zypper install',
  };
  const found = Object.entries(ways).find(([program]) => systemProgram(program) !== null);
  const sudo = process.getuid!() === 0 ? '' : 'sudo ';
  return found === undefined ? 'by your package manager' : `${sudo}${found[1]} bubblewrap`;
}

/** Settings of the kernel that forbid namespaces to this user, read one by one. */
function forbiddingSetting(): Trouble | null {
  const isRoot = process.getuid!() === 0;
  const change = (name: string, value: string) =>
    `Ask root to change it: sysctl -w ${name}=${value}. To keep it: a line ${name}=${value} in /etc/sysctl.d/60-clawctl.conf`;
  if (!isRoot && setting('kernel/unprivileged_userns_clone') === '0')
    return {
      what: 'the kernel setting kernel.unprivileged_userns_clone is 0, so only root may make namespaces',
      fix: change('kernel.unprivileged_userns_clone', '1'),
    };
  for (const kind of ['user', 'net', 'pid', 'mnt', 'ipc'])
    if (setting(`user/max_${kind}_namespaces`) === '0')
      return {
        what: `the kernel setting user.max_${kind}_namespaces is 0`,
        fix: change(`user.max_${kind}_namespaces`, '10000'),
      };
  if (!isRoot && setting('kernel/apparmor_restrict_unprivileged_userns') === '1')
    return {
      what: 'AppArmor takes all rights from namespaces of ordinary users (kernel.apparmor_restrict_unprivileged_userns is 1)',
      fix: 'Ask root to allow bubblewrap, by a file /etc/apparmor.d/bwrap with the lines "abi <abi/4.0>," "profile bwrap /usr/bin/bwrap flags=(unconfined) { userns, }" and then apparmor_parser -r /etc/apparmor.d/bwrap. Or for every program: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0',
    };
  return null;
}

const CONTAINER_FIX =
  'Start the container with --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined (Docker, Podman), or run clawctl on the host.';

/** Tries the barest sandbox, to hear bubblewrap's own words. Null: it works. */
export function probeBubblewrap(bwrap: string): Trouble | null {
  const namespaces = ['--unshare-user', '--unshare-net', '--unshare-pid', '--unshare-ipc'];
  const program = systemProgram('true') ?? '/bin/true';
  const tried = Bun.spawnSync(
    [
      bwrap,
      ...namespaces,
      '--ro-bind',
      '/',
      '/',
      '--proc',
      '/proc',
      '--size',
      '4096',
      '--tmpfs',
      '/tmp',
      program,
    ],
    {
      env: BARE_ENVIRONMENT,
      cwd: '/',
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  if (tried.success) return null;
  const words = tried.stderr.toString().trim().split('\n').at(-1) ?? '';
  const said =
    words === '' ? `bubblewrap ended with ${tried.exitCode}` : `bubblewrap says "${words.slice(0, 200)}"`;
  if (/unknown option/i.test(words))
    return { what: `bubblewrap is too old (${said})`, fix: 'Install bubblewrap 0.7 or later.' };
  const forbidding = forbiddingSetting();
  if (forbidding !== null) return { what: `${forbidding.what} (${said})`, fix: forbidding.fix };
  if (isContainer()) return { what: `the container around us forbids it (${said})`, fix: CONTAINER_FIX };
  if (isFiltered())
    return {
      what: `a system call filter around us forbids it (${said}): perhaps this is already inside a fence`,
      fix: 'Run clawctl outside. In a container: start it with --security-opt seccomp=unconfined.',
    };
  if (/no space left|ENOSPC/i.test(words))
    return {
      what: `a limit of namespaces is reached (${said})`,
      fix: 'Raise user.max_user_namespaces and its like, or end other sandboxes.',
    };
  return { what: said, fix: 'See whether this works: bwrap --unshare-user --unshare-net --ro-bind / / true' };
}

/** bwrap ended before the inside said a word. */
export function failureOfBubblewrap(bwrap: string, code: number): Failure {
  const trouble = probeBubblewrap(bwrap) ?? {
    what: `bubblewrap ended with ${code}; its own words are above`,
    fix: 'Run: clawctl egress doctor',
  };
  return new Failure('sandbox-forbidden', `The fence cannot be built: ${trouble.what}.`, trouble.fix);
}

/** The inside could not go on. */
export function failureOfInside(report: FailureReport, command: string): Failure {
  const words = [report.detail, report.call === '' ? '' : `${report.call}: ${report.errno}`]
    .filter(Boolean)
    .join(', ');
  switch (report.step) {
    case 'execute':
      return report.errno === 'ENOENT'
        ? new Failure(
            'command-not-found',
            `${command}: no such command, or its interpreter is missing.`,
            'The fence has your PATH; files in hidden folders are not seen.',
          )
        : new Failure('command-not-executable', `${command}: it cannot be executed (${report.errno}).`);
    case 'cwd':
      return new Failure(
        'run-refused',
        `The working directory is not there inside the fence (${words}).`,
        'Start from another folder, or show it by --read.',
      );
    case 'mount':
      if (/overlay/.test(report.detail))
        return new Failure(
          'sandbox-forbidden',
          `The copy of the home cannot be made: the kernel refuses overlayfs to ordinary users (${words}).`,
          'It needs Linux 5.11 or later with the module: modprobe overlay',
        );
      return new Failure(
        'sandbox-forbidden',
        `A mount in the fence was refused (${words}).`,
        isContainer() ? CONTAINER_FIX : undefined,
      );
    case 'loopback':
    case 'routes':
    case 'listeners':
      return new Failure(
        'sandbox-forbidden',
        `The fence's network cannot be built (${words}).`,
        forbiddingSetting()?.fix ?? (isContainer() ? CONTAINER_FIX : undefined),
      );
    case 'firewall':
      return new Failure(
        'sandbox-forbidden',
        `The fence's firewall was refused (${words}).`,
        'The kernel needs nftables with NAT: modprobe -a nf_tables nft_chain_nat nft_redir nft_reject_inet nft_ct',
      );
    default:
      return new Failure(
        'sandbox-broken',
        `The fence could not be completed at '${report.step}' (${words}). The command was not started.`,
        'Run: clawctl egress doctor',
      );
  }
}
