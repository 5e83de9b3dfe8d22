/**
 * One worker process as its supervisor sees it: started, fed, watched, and started again when it has died or hangs.
 * Its environment is bare, whatever the supervisor's is: what a worker obeys comes over the channel alone.
 */
import type { Subprocess } from 'bun';
import { closeDescriptor, MOST_DESCRIPTORS, sendDescriptors, socketPair } from '../os/descriptors.ts';
import { type Activity, activityOf } from '../os/process.ts';
import type { Beat, FromWorker, Served, Start, ToWorker } from './message.ts';

/** Milliseconds without a beat after which a worker hangs; a worker that starts has longer. */
const SILENCE = 1_000;
const LONGEST_START = 15_000;
/** For one that gets no processor: a machine that is busy is no reason to cut everybody off. */
const LONGEST_WAIT = 10_000;
/** Milliseconds between starts of a worker that ends at once, again and again. */
const LONGEST_PAUSE = 1_000;
const LONG_LIFE = 5_000;

const ENVIRONMENT = {
  PATH: '/usr/bin:/bin',
  LANG: 'C',
  // What the runtime compiles it would keep in a home, and believe what it finds there.
  BUN_RUNTIME_TRANSPILER_CACHE_PATH: '0',
};

export interface WorkerOptions {
  /** Words that start this program as a worker. */
  program: readonly string[];
  start: Omit<Start, 'kind'>;
  memory: number;
  /** What it listens on now. */
  served: () => readonly (Served & { fds: readonly number[] })[];
  onMessage: (worker: Worker, message: FromWorker) => void;
  /** It has ended, not asked to, and a new one will be started. */
  onDeath: (worker: Worker, why: string) => void;
}

/** Why something is not served as it should be. */
export interface Trouble {
  why: string;
  /** How it is served all the same: `with the certificate that it had`. */
  kept: string | null;
}

export class Worker {
  /** What it said last; null before its first beat. */
  beat: Beat | null = null;
  /** Ids of what it listens on. */
  listening = new Set<number>();
  /** Of ids that it could not serve as it was told. */
  troubles = new Map<number, Trouble>();
  #child: Subprocess | null = null;
  #channel = -1;
  #startedAt = 0;
  #heardAt = 0;
  #heardUsed = 0;
  #pause = 0;
  #restarts = 0;
  #draining = false;
  /** It was ended because it said nothing for too long. */
  #hung = false;
  #timer: Timer | null = null;
  #gone = Promise.withResolvers<void>();

  constructor(private readonly options: WorkerOptions) {
    this.#spawn(options.start.restarted);
  }

  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  get restarts(): number {
    return this.#restarts;
  }

  get slot(): number {
    return this.options.start.slot;
  }

  /** Descriptors stay the caller's. */
  send(message: ToWorker, fds: readonly number[] = []): void {
    if (this.#child === null) return;
    try {
      for (let at = 0; at < fds.length; at += MOST_DESCRIPTORS)
        sendDescriptors(this.#channel, fds.slice(at, at + MOST_DESCRIPTORS), Buffer.of(0));
      this.#child.send(message);
    } catch {
      // It has just ended; the next one is told from the beginning.
    }
  }

  /** Resolves when it has ended, by itself or not. */
  async drain(milliseconds: number): Promise<void> {
    this.#draining = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#child === null) return;
    this.send({ kind: 'drain', milliseconds });
    const late = setTimeout(() => this.#child?.kill('SIGKILL'), milliseconds + SILENCE);
    await this.#gone.promise;
    clearTimeout(late);
  }

  kill(): void {
    this.#draining = true;
    this.#child?.kill('SIGKILL');
  }

  /** Ends it if it hangs; the rest happens when it has ended. `late`: milliseconds that we were kept from looking. */
  look(now: number, late: number): void {
    const pid = this.#child?.pid;
    if (pid === undefined || this.#draining) return;
    this.#heardAt += late;
    const silence = now - this.#heardAt;
    if (silence < SILENCE) return;
    if (this.beat === null && silence < LONGEST_START) return;
    const activity = activityOf(pid);
    if (activity !== null && silence < LONGEST_WAIT && this.#isStarved(activity)) return;
    this.#hung = true;
    this.#child?.kill('SIGKILL');
  }

  /** Ready to run, and hardly had a turn. */
  #isStarved({ state, used }: Activity): boolean {
    return state === 'R' && used - this.#heardUsed < SILENCE / 2;
  }

  #spawn(restarted: string | null): void {
    const { program, start, memory } = this.options;
    const [channel, theirs] = socketPair();
    this.#channel = channel;
    this.#startedAt = performance.now();
    this.#heardAt = this.#startedAt;
    this.#heardUsed = 0;
    this.#hung = false;
    this.beat = null;
    this.listening.clear();
    this.troubles.clear();
    this.#child = Bun.spawn([...program], {
      stdio: ['ignore', 'ignore', 'inherit', theirs],
      env: ENVIRONMENT,
      cwd: '/',
      serialization: 'advanced',
      ipc: (message: FromWorker) => this.#heard(message),
      onExit: (_child: Subprocess, code: number | null, signal: number | null) => this.#ended(code, signal),
    } as never);
    closeDescriptor(theirs);
    this.send({ kind: 'start', ...start, restarted }, [memory]);
  }

  #heard(message: FromWorker): void {
    this.#heardAt = performance.now();
    if (message.kind === 'beat') {
      this.beat = message;
      this.#heardUsed = activityOf(this.#child!.pid)?.used ?? 0;
    }
    if (message.kind === 'started') {
      const served = this.options.served();
      this.send(
        { kind: 'listen', served: served.map(({ id, entry, count }) => ({ id, entry, count })) },
        served.flatMap(({ fds }) => fds),
      );
    }
    if (message.kind === 'listening') for (const id of message.ids) this.listening.add(id);
    this.options.onMessage(this, message);
  }

  #ended(code: number | null, signal: number | string | null): void {
    this.#child = null;
    this.beat = null;
    this.listening.clear();
    this.troubles.clear();
    closeDescriptor(this.#channel);
    const why = this.#hung
      ? 'it did not answer any more, and was killed for that'
      : signal === null
        ? `it ended with code ${code}`
        : `it was ended by signal ${signal}`;
    if (!this.#draining) {
      const lived = performance.now() - this.#startedAt;
      this.#pause = lived > LONG_LIFE ? 0 : Math.min(LONGEST_PAUSE, this.#pause * 2 + 50);
      this.#restarts++;
      this.#timer = setTimeout(() => this.#spawn(why), this.#pause);
      this.options.onDeath(this, why);
      return;
    }
    this.#gone.resolve();
    this.options.onDeath(this, why);
  }
}
