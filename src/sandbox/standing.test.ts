import { afterAll, describe, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathsOf } from '../base/paths.ts';
import { closeDescriptor, socketPair } from '../os/descriptors.ts';
import { OsError } from '../os/libc.ts';
import { type FailureReport, sendMessage } from './handshake.ts';
import { whyNot } from './inside.fixture.ts';
import { launch } from './launch.ts';
import { hasEnded, processesBelow } from './processes.ts';
import { failureOf, type Started } from './standing.ts';

const reason = whyNot();
if (reason !== null) console.warn(`skipped: ${reason}`);

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'clawctl-test-')));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const EPIPE = 32;
const LAST_WORD: FailureReport = {
  ...{ kind: 'failed', step: 'firewall', call: 'nftables rule redirection 1', errno: 'ENOENT' },
  ...{ detail: '', exit: 125 },
};

/** A fence whose bubblewrap has ended, with this side of the channel to it. */
const ended = (channel: number) =>
  ({
    ...{ channel, command: 'true', bwrap: '/usr/bin/bwrap' },
    child: { kill() {}, exited: Promise.resolve(125) },
  }) as unknown as Started;

test('what the inside has said last is told before what was seen of its end', async () => {
  const [ours, theirs] = socketPair();
  sendMessage(theirs, LAST_WORD);
  closeDescriptor(theirs);
  const failure = await failureOf(ended(ours), new OsError('send', EPIPE));
  expect(`${failure}`).toContain('nftables rule redirection 1: ENOENT');
  expect(`${await failureOf(ended(ours), new OsError('send', EPIPE))}`).toContain('bubblewrap');
  closeDescriptor(ours);
});

describe.skipIf(reason !== null)('a fence', () => {
  test('that is stopped before it stands has ended when that is said', async () => {
    const home = join(folder, 'home');
    mkdirSync(home);
    const environment = { PATH: '/usr/bin:/bin', HOME: home };
    const sandbox = await launch({
      ...{
        command: ['true'],
        agent: 'a',
        session: 's',
        cwd: folder,
        environment,
        paths: pathsOf(environment, home),
      },
      ...{ writes: [], reads: [], sockets: [], policyFiles: [], dialers: 0 },
      ...{ fresh: false, quiet: true },
    });
    let running: number[] = [];
    while (running.length < 2) running = processesBelow(process.pid); // bubblewrap, and the first one inside
    await sandbox.stop();
    expect(running.filter((pid) => !hasEnded(pid))).toEqual([]);
  });
});
