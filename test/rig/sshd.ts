/** A real OpenSSH server on an origin's address, and the words by which its client logs in. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { linesOf } from './lines.ts';

const PATH = `${process.env.PATH}:/usr/sbin:/sbin`;
const SSHD = Bun.which('sshd', { PATH });

export const hasSsh = SSHD !== null && Bun.which('ssh') !== null && Bun.which('ssh-keygen') !== null;

export interface SshServer {
  /** Of `ssh`, up to the host. */
  login: string[];
  close(): void;
}

/** On port 22. `folder` has to be there, and empty. */
export async function openSshServer(folder: string, address: string): Promise<SshServer> {
  const file = (name: string) => join(folder, name);
  for (const key of ['host', 'own'])
    Bun.spawnSync(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', file(key)]);
  writeFileSync(
    file('config'),
    [
      `ListenAddress ${address}`,
      `HostKey ${file('host')}`,
      `AuthorizedKeysFile ${file('own.pub')}`,
      'PermitRootLogin yes',
      'PasswordAuthentication no',
      'StrictModes no',
      'UsePAM no',
      'PidFile none',
    ].join('\n'),
  );
  // Where its unprivileged part lives; systemd would make it.
  if (process.getuid!() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  const server = Bun.spawn([SSHD!, '-D', '-e', '-f', file('config')], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  await linesOf(server.stderr).until('Server listening');
  const options = [
    'BatchMode=yes',
    'StrictHostKeyChecking=no',
    'UserKnownHostsFile=/dev/null',
    'LogLevel=ERROR',
  ];
  return {
    login: [
      ...[
        'ssh',
        '-F',
        'none',
        '-i',
        file('own'),
        '-l',
        Bun.spawnSync(['id', '-un']).stdout.toString().trim(),
      ],
      ...options.flatMap((option) => ['-o', option]),
    ],
    close: () => server.kill('SIGKILL'),
  };
}
