/** The names of system call errors (errno(3)); the numbers are the same on x86-64 and arm64. */

export const EPERM = 1;
export const ENOENT = 2;
export const EINTR = 4;
export const ENOEXEC = 8;
export const EAGAIN = 11;
export const EACCES = 13;
export const EEXIST = 17;
export const ENOTDIR = 20;
export const EINVAL = 22;
export const ENOSYS = 38;
export const ENOTSOCK = 88;
export const EPROTONOSUPPORT = 93;
export const EAFNOSUPPORT = 97;
export const EADDRINUSE = 98;
export const EADDRNOTAVAIL = 99;
export const ECONNREFUSED = 111;

/** `EPERM` for 1, and so on; `errno 4711` for a number without a name. Loads the list only where something failed. */
export function errnoName(errno: number): string {
  const { constants } = process.getBuiltinModule('node:os');
  for (const [name, number] of Object.entries(constants.errno)) if (number === errno) return name;
  return `errno ${errno}`;
}
