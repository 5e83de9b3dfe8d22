/** Mounts that a program of ours sees, and nobody else on this machine. */

const isRoot = process.getuid!() === 0;
const USER = isRoot ? [] : ['--user', '--map-root-user'];

/** Words to put before a command, which then sees what `script` has mounted. The process keeps its id. */
export const withMounts = (script: string): string[] => [
  ...['unshare', ...USER, '--mount', 'sh', '-ec', `${script}\nexec "$@"`, 'sh'],
];

/** Words to put before a command that is to see what process `pid` sees. */
export const seenBy = (pid: number): string[] => [
  ...['nsenter', `--mount=/proc/${pid}/ns/mnt`],
  ...(isRoot ? [] : ['--preserve-credentials', `--user=/proc/${pid}/ns/user`]),
];

/** Whether any of this can be had here. */
export const canMount = Bun.spawnSync(
  [...withMounts('mount -t tmpfs none /mnt'), ...['mountpoint', '-q', '/mnt']],
  { stderr: 'ignore' },
).success;
if (!canMount)
  console.warn('skipped: these tests need mounts of their own, which this machine does not give');
