import { afterAll, describe, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Failure } from '../base/failure.ts';
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
  const home = join(folder, 'home');
  mkdirSync(home);
  const environment = { PATH: '/usr/bin:/bin', HOME: home };
  const begin = () =>
    launch({
      ...{ command: ['true'], agent: 'a', session: 's', cwd: folder, environment },
      ...{ paths: pathsOf(environment, home), writes: [], reads: [], sockets: [], policyFiles: [] },
      ...{ dialers: 0, fresh: false, quiet: true },
    });
  const below = () => processesBelow(process.pid).filter((pid) => !hasEnded(pid));
  /** bubblewrap and the first one inside, as soon as both are there. */
  const bothRunning = (): number[] => {
    let running: number[] = [];
    for (const end = performance.now() + 5_000; running.length < 2 && performance.now() < end; )
      running = below();
    expect(running.length).toBeGreaterThan(1);
    return running;
  };

  test('that is stopped before it stands has ended when that is said', async () => {
    const sandbox = await begin();
    bothRunning();
    await sandbox.stop();
    expect(below()).toEqual([]);
  });

  test('whose bubblewrap is killed in its first moment does not stand, and leaves nothing', async () => {
    const sandbox = await begin();
    // What is inside may not have asked the kernel yet to die with it, and would wait for ever.
    process.kill(bothRunning()[0]!, 'SIGKILL');
    const standing = sandbox.network().then(() => sandbox.verify());
    await expect(standing).rejects.toThrow(Failure);
    await sandbox.stop();
    expect(below()).toEqual([]);
  });
});
