/**
 * Name resolution inside: the fence's own stub and nothing else. These files replace the machine's for the
 * command, wherever a symbolic link leads to.
 */
import { lstatSync } from 'node:fs';
import { wayTo } from './folders.ts';

export interface FenceFile {
  /** What it takes the place of: a real path. */
  target: string;
  content: string;
}

/** `search .`: otherwise the C library would take a domain to search from the host's name. */
const RESOLVER = 'nameserver 127.0.0.1\nsearch .\noptions ndots:1 timeout:5 attempts:2\n';
const HOSTS = '127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n';
const LOOKUPS = [
  ...['passwd', 'group', 'shadow', 'gshadow', 'networks', 'protocols', 'services', 'ethers', 'rpc'].map(
    (database) => `${database}: files`,
  ),
  'hosts: files dns',
  '',
].join('\n');

type Files = ReadonlyArray<readonly [path: string, content: string]>;

const FILES: Files = [
  ['/etc/resolv.conf', RESOLVER],
  ['/etc/hosts', HOSTS],
  ['/etc/nsswitch.conf', LOOKUPS],
];

/**
 * One that is missing is left out: without it the C library asks 127.0.0.1 too. `isEmpty`: whether nothing is at a path
 * in the fence, and one can be made there.
 */
export function fenceFiles(isEmpty: (path: string) => boolean, files: Files = FILES): FenceFile[] {
  return files.flatMap(([path, content]) => {
    const target = wayTo(path).end;
    const found = lstatSync(target, { throwIfNoEntry: false });
    // A link at the end of its way is one that never ends.
    const canBePut = found === undefined ? isEmpty(target) : !found.isSymbolicLink();
    return canBePut ? [{ target, content }] : [];
  });
}
