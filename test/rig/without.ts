/** Stands for a machine that lacks something: a program that takes system calls away and becomes the next one. */

const PROGRAM = `
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
def op(code, k, yes=0, no=0): return struct.pack("HBBI", code, yes, no, k)
LOAD, EQUAL, ANY, RETURN, ALLOW, ERROR = 0x20, 0x15, 0x45, 0x06, 0x7fff0000, 0x00050000
socket, clone, unshare, clone3 = [41, 56, 272, 435] if os.uname().machine == "x86_64" else [198, 220, 97, 435]
filters = {
  # socket(AF_INET6, ...) is EAFNOSUPPORT
  "IPv6": [op(LOAD, 0), op(EQUAL, socket, 0, 3), op(LOAD, 16), op(EQUAL, 10, 0, 1), op(RETURN, ERROR | 97), op(RETURN, ALLOW)],
  # as containers do it: new namespaces are EPERM, clone3, whose flags a filter cannot see, ENOSYS
  "namespaces": [op(LOAD, 0), op(EQUAL, unshare, 4, 0), op(EQUAL, clone3, 5, 0), op(EQUAL, clone, 0, 3), op(LOAD, 16),
    op(ANY, 0x7e020000, 0, 1), op(RETURN, ERROR | 1), op(RETURN, ALLOW), op(RETURN, ERROR | 38)],
}
program = filters[sys.argv[1]]
code = ctypes.create_string_buffer(b"".join(program))
libc.prctl(38, 1, 0, 0, 0)
if libc.prctl(22, 2, struct.pack("HxxxxxxQ", len(program), ctypes.addressof(code)), 0, 0) != 0: sys.exit("no seccomp")
os.execvp(sys.argv[2], sys.argv[2:])
`;

/** Words to put before a command. */
export const without = (what: 'IPv6' | 'namespaces'): string[] => ['python3', '-c', PROGRAM, what];
