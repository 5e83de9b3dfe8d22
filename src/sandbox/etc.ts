/**
 * Name resolution inside: the fence's own stub and nothing else. These files replace the machine's for the
 * command, wherever a symbolic link leads to.
 */
import { lstatSync, readlinkSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { realPath } from './folders.ts';

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
    const target = followed(path);
    return target !== null && (isEmpty(target) || exists(target)) ? [{ target, content }] : [];
  });
}

const exists = (path: string) => lstatSync(path, { throwIfNoEntry: false }) !== undefined;

/** Also through links that lead to nothing now: what they lead to is made. Null for links that never end. */
function followed(path: string, steps = 16): string | null {
  const real = realPath(path);
  if (!lstatSync(real, { throwIfNoEntry: false })?.isSymbolicLink()) return real;
  return steps === 0 ? null : followed(resolve(dirname(real), readlinkSync(real)), steps - 1);
}
