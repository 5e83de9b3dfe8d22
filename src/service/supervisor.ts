/**
 * The process that stays: it holds the sockets, the lock and the shared memory, starts workers, watches them, and
 * passes all of it on to another process that takes over. It carries no traffic and reads no wire.
 */
import { closeDescriptor } from '../os/descriptors.ts';
import { openSharedMemory, openUnixListener } from '../os/endpoints.ts';
import { agentsOf, type ListenEntry } from '../policy/listener.ts';
import { type Admin, type Questions, serveAdmin, serveAdminOnceFree } from './admin.ts';
import { type Condition, conditionOf, troubleText } from './condition.ts';
import { LEDGER_BYTES, Ledger, SLOTS_OF_GENERATION } from './ledger.ts';
import type { FromWorker } from './message.ts';
import { notifySystemd, watchdogMilliseconds } from './notify.ts';
import type { ServiceOptions } from './options.ts';
import {
  adoptSockets,
  certificateAdvice,
  closeSockets,
  keyOf,
  listedAs,
  type Opened,
  openSockets,
  type ServedSet,
  servedBy,
  serversOf,
} from './sockets.ts';
import { Handover } from './takeover.ts';
import { keepUsage, recallUsage } from './usagefile.ts';
import { Worker } from './worker.ts';

/** Milliseconds between looks at workers and at whoever wants to take over. */
const LOOK = 100;
/** A look that comes later than this was kept from coming: then workers were, too. */
const LATE = 300;
/** Milliseconds between times when what was sent today is kept. */
const KEEP = 5_000;
/** Milliseconds between tries to open, or to serve, what could not be. */
const RETRY = 1_000;

export class Supervisor {
  readonly #options: ServiceOptions;
  readonly #memory: number;
  readonly #ledger: Ledger;
  readonly #generation: number;
  #opened: Opened[] = [];
  readonly #inherited: ReadonlySet<Opened>;
  /** What the policy wants to be open and could not be opened, by its place. */
  readonly #missing = new Map<string, { entry: ListenEntry; why: string }>();
  /** Ids of what the command line asks for, whatever the policy says. */
  readonly #fixed = new Set<number>();
  #nextId = 1;
  #workers: Worker[] = [];
  #admin: Admin | null = null;
  /** The same at an address. */
  #probed: Admin | null = null;
  #takeover = -1;
  #handover: Handover | null = null;
  #timer: Timer | null = null;
  #lookedAt = 0;
  #triedAt = 0;
  #toldAt = 0;
  #keptAt = 0;
  #kept: string | null = null;
  #isTakenOver = false;
  #state: Condition['state'] = 'starting';
  #ended = Promise.withResolvers<void>();
  #onServing = () => {};

  /** Opens every socket. Throws Failure, and then nothing is left open. */
  constructor(options: ServiceOptions) {
    this.#options = options;
    const { inheritance } = options;
    this.#generation = inheritance === null ? 0 : 1 - inheritance.generation;
    this.#memory = inheritance?.memory ?? openSharedMemory('clawctl-limits', LEDGER_BYTES);
    this.#ledger = new Ledger(Bun.mmap(`/proc/self/fd/${this.#memory}`, { shared: true }));
    if (inheritance !== null) this.#opened = adoptSockets(inheritance, () => this.#nextId++, options.workers);
    this.#inherited = new Set(this.#opened);
    if (inheritance === null) recallUsage(options.folder.usage, this.#ledger, Date.now());
    try {
      for (const entry of options.fixed) this.#fixed.add(this.#open(entry).id);
      for (const entry of this.#wanted(options.listen)) this.#open(entry);
    } catch (error) {
      this.#takeBack();
      throw error;
    }
  }

  /** What a start that failed has opened. Another process goes on with what was its before. */
  #takeBack(): void {
    for (const opened of this.#opened.splice(0)) closeSockets(opened, this.#inherited.has(opened));
  }

  get places(): string[] {
    return this.#opened.map(({ entry }) => listedAs(entry));
  }

  /** Starts the workers; resolves once all of them listen. */
  async start(): Promise<void> {
    const { folder, workers, admin, inheritance } = this.#options;
    const serving = new Promise<void>((resolve) => {
      this.#onServing = resolve;
    });
    for (let index = 0; index < workers; index++) this.#workers.push(this.#startWorker(index));
    this.#lookedAt = performance.now();
    this.#timer = setInterval(() => this.#look(), LOOK);
    await serving;
    const questions = {
      '/livez': () => ({
        status: 200 as const,
        body: { schema: 'clawctl.egress.livez/v1', status: 'alive', pid: process.pid },
      }),
      '/readyz': () => {
        const condition = this.condition();
        return { status: condition.ready ? (200 as const) : (503 as const), body: condition };
      },
    };
    this.#admin = await serveAdmin({ path: folder.own('admin') }, questions);
    if (admin !== null && inheritance === null) this.#probed = await serveAdmin(admin, questions);
    this.#takeover = openUnixListener(folder.own('takeover'));
    folder.open('admin');
    folder.open('takeover');
    this.#state = 'serving';
    inheritance?.done();
    if (admin !== null && inheritance !== null) void this.#serveProbesSoon(admin, questions);
    notifySystemd(`READY=1\nMAINPID=${process.pid}\nSTATUS=Serving ${this.places.join(', ')}`);
  }

  /** The process before gives the address up once it knows that it is replaced. */
  async #serveProbesSoon(address: { host: string; port: number }, questions: Questions): Promise<void> {
    try {
      this.#probed = await serveAdminOnceFree(address, questions, () => this.#state === 'serving');
    } catch (error) {
      this.#options.say(`${(error as Error).message} Everything else goes on.`);
    }
  }

  condition(): Condition {
    return conditionOf({
      state: this.#state,
      opened: this.#opened.map((opened) => ({
        id: opened.id,
        place: listedAs(opened.entry),
        workers: serversOf(opened, this.#options.workers),
      })),
      missing: [...this.#missing.values()].map(({ entry, why }) => ({ place: listedAs(entry), why })),
      workers: this.#workers,
    });
  }

  /** Reads the policy and the certificates again. */
  reload(): void {
    notifySystemd(`RELOADING=1\nMONOTONIC_USEC=${Math.round(performance.now() * 1000)}`);
    for (const worker of this.#workers) worker.send({ kind: 'reload' });
    notifySystemd('READY=1');
  }

  /** Resolves when the service has ended: asked to, or taken over. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Accepts nothing more, and ends when what is open has ended or the time is up. `kept`: the sockets go on elsewhere. */
  async drain(kept = false): Promise<void> {
    if (this.#state === 'draining') return;
    this.#state = 'draining';
    this.#missing.clear();
    notifySystemd('STOPPING=1');
    for (const opened of this.#opened.splice(0)) closeSockets(opened, kept);
    if (this.#takeover >= 0) closeDescriptor(this.#takeover);
    await Promise.all(this.#workers.map((worker) => worker.drain(this.#options.drain)));
    this.#finish();
  }

  get isDraining(): boolean {
    return this.#state === 'draining';
  }

  /** Cuts what a drain waits for. */
  hasten(): void {
    for (const worker of this.#workers) void worker.drain(0);
  }

  /** Gives a start up. */
  abort(): void {
    const hasServed = this.#state !== 'starting';
    // With nothing left to serve it would be found to serve everything.
    this.#state = 'draining';
    for (const worker of this.#workers) worker.kill();
    this.#takeBack();
    this.#finish(hasServed);
  }

  #finish(hasServed = true): void {
    this.#keep(performance.now());
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#admin?.close();
    this.#probed?.close();
    this.#options.folder.leave(hasServed);
    this.#ended.resolve();
  }

  #startWorker(index: number): Worker {
    const { paths, policyFile, environment, program, folder, fixed } = this.#options;
    const slot = this.#generation * SLOTS_OF_GENERATION + index;
    const restarted = index > 0 || folder.wasLeft ? null : 'the service before it was killed';
    return new Worker({
      program,
      start: { paths, policyFile, environment, slot, restarted, agents: agentsOf(fixed) },
      memory: this.#memory,
      served: () => this.#servedBy(index),
      onMessage: (worker, message) => this.#heard(worker, index, message),
      onDeath: (worker, why) => {
        this.#ledger.ended(worker.slot);
        if (this.#state === 'serving') this.#options.say(`worker ${index} is started again: ${why}`);
      },
    });
  }

  #heard(worker: Worker, index: number, message: FromWorker): void {
    const { say, onBroken } = this.#options;
    if (message.kind === 'failed') {
      if (this.#state === 'starting') onBroken(message);
      else say(`worker ${index} cannot start: ${message.message}`);
    }
    if (message.kind === 'refused')
      for (const other of this.#workers) if (other !== worker) other.send(message);
    if (message.kind === 'said' && (index === 0 || worker.restarts > 0)) say(message.text);
    if (message.kind === 'unserved') this.#couldNotServe(worker, index, message);
    if (message.kind === 'listening')
      for (const id of message.ids)
        if (worker.troubles.delete(id)) say(`worker ${index} serves ${this.#placeOf(id)} as it should again`);
    if (message.kind === 'policy' && index === 0) this.#follow(message.listen);
    if (this.#state === 'starting' && this.#workers.length === this.#options.workers && this.#allServe())
      this.#onServing();
  }

  #couldNotServe(worker: Worker, index: number, message: FromWorker & { kind: 'unserved' }): void {
    const { id, why, kept } = message;
    if (this.#state === 'starting') {
      const fix = certificateAdvice(this.#opened.find((each) => each.id === id)?.entry);
      const message = `${this.#placeOf(id)} cannot be served: ${why}`;
      this.#options.onBroken({ code: 'gateway-broken', message, fix });
      return;
    }
    const before = worker.troubles.get(id);
    worker.troubles.set(id, { why, kept });
    // What goes on as before is every worker's; what is not served is tried again and again, and said once.
    const isNews = kept === null ? before?.why !== why : index === 0;
    if (isNews) this.#options.say(troubleText(this.#placeOf(id), { why, kept }, index));
  }

  #allServe(): boolean {
    return this.#workers.every(
      (worker, index) =>
        this.#servedBy(index).every(({ id }) => worker.listening.has(id)) && worker.beat !== null,
    );
  }

  #placeOf(id: number): string {
    const opened = this.#opened.find((each) => each.id === id);
    return opened === undefined ? 'a listener' : keyOf(opened.entry);
  }

  #servedBy(index: number): ServedSet[] {
    return this.#opened
      .map((opened) => servedBy(opened, index, this.#options.workers))
      .filter((served) => served !== null);
  }

  /** What the policy says of a place that the command line names too does not count. */
  #wanted(listen: readonly ListenEntry[]): ListenEntry[] {
    const fixed = new Set(
      this.#opened.filter(({ id }) => this.#fixed.has(id)).map(({ entry }) => keyOf(entry)),
    );
    return listen.filter((entry) => !fixed.has(keyOf(entry)));
  }

  #open(entry: ListenEntry): Opened {
    const known = this.#opened.find((each) => keyOf(each.entry) === keyOf(entry));
    if (known !== undefined) {
      known.entry = entry;
      return known;
    }
    const opened = openSockets(this.#nextId++, entry, this.#options.workers);
    this.#opened.push(opened);
    return opened;
  }

  /** The policy's listeners have changed: what is new is opened, what is gone closed, what stays is not touched. */
  #follow(listen: readonly ListenEntry[]): void {
    const { say } = this.#options;
    const wanted = this.#wanted(listen);
    this.#missing.clear();
    const keys = new Set(wanted.map(keyOf));
    const gone = this.#opened.filter(({ id, entry }) => !this.#fixed.has(id) && !keys.has(keyOf(entry)));
    for (const opened of gone) {
      this.#opened = this.#opened.filter((each) => each !== opened);
      for (const worker of this.#workers) worker.send({ kind: 'unlisten', ids: [opened.id] });
      closeSockets(opened, false);
      say(`listens no more on ${keyOf(opened.entry)}`);
    }
    for (const entry of wanted) {
      const before = this.#opened.find((each) => keyOf(each.entry) === keyOf(entry));
      if (before !== undefined && JSON.stringify(before.entry) === JSON.stringify(entry)) continue;
      const failed = this.#begin(entry);
      if (failed !== null) say(`${failed} It is tried again; everything else goes on.`);
      else if (before === undefined) say(`listens on ${keyOf(entry)}`);
      else say(`${keyOf(entry)} is to be as the policy says now`);
    }
  }

  /** Null once it is open and the workers know; else why it is not. */
  #begin(entry: ListenEntry): string | null {
    try {
      const opened = this.#open(entry);
      for (const index of this.#workers.keys()) this.#offer(index, opened);
      return null;
    } catch (error) {
      const why = (error as Error).message;
      this.#missing.set(keyOf(entry), { entry, why });
      return why;
    }
  }

  #offer(index: number, opened: Opened): void {
    const served = servedBy(opened, index, this.#options.workers);
    if (served === null) return;
    const { id, entry, count, fds } = served;
    this.#workers[index]!.send({ kind: 'listen', served: [{ id, entry, count }] }, fds);
  }

  /** What could not be opened, and what a worker could not serve at all: the cause may be gone. */
  #tryAgain(now: number): void {
    this.#triedAt = now;
    for (const [key, { entry }] of [...this.#missing]) {
      if (this.#begin(entry) !== null) continue;
      this.#missing.delete(key);
      this.#options.say(`listens on ${key}`);
    }
    this.#workers.forEach((worker, index) => {
      for (const opened of this.#opened)
        if (worker.troubles.get(opened.id)?.kept === null) this.#offer(index, opened);
    });
  }

  #look(): void {
    const now = performance.now();
    const late = now - this.#lookedAt - LOOK;
    this.#lookedAt = now;
    for (const worker of this.#workers) worker.look(now, late > LATE ? late : 0);
    const watchdog = watchdogMilliseconds();
    if (watchdog !== null && now - this.#toldAt > watchdog / 3) {
      this.#toldAt = now;
      notifySystemd('WATCHDOG=1');
    }
    if (now - this.#keptAt > KEEP) this.#keep(now);
    if (this.#state !== 'serving') return;
    if (now - this.#triedAt > RETRY) this.#tryAgain(now);
    this.#lookForSuccessor();
  }

  /** Whoever has taken over keeps it from then on. */
  #keep(now: number): void {
    this.#keptAt = now;
    if (!this.#isTakenOver)
      this.#kept = keepUsage(this.#options.folder.usage, this.#ledger, Date.now(), this.#kept);
  }

  #lookForSuccessor(): void {
    const { say, folder } = this.#options;
    if (this.#handover === null) {
      const entries = this.#opened.map(({ entry, sets }) => ({
        ...{ entry, sets: 'path' in entry.where ? 1 : sets.length, descriptors: sets[0]!.length },
      }));
      const sets = this.#opened.flatMap(({ entry, sets }) =>
        'path' in entry.where ? sets.slice(0, 1) : sets,
      );
      const passed = { version: 1, pid: process.pid, generation: this.#generation, entries };
      this.#handover = Handover.accept(this.#takeover, passed, [folder.lock, this.#memory, ...sets.flat()]);
      return;
    }
    const outcome = this.#handover.outcome();
    if (outcome === 'waiting') return;
    const { pid } = this.#handover;
    this.#handover = null;
    if (outcome === 'given up') {
      say(`process ${pid} did not take over after all; this one goes on`);
      return;
    }
    say(`process ${pid} has taken over; this one ends when its connections have`);
    this.#probed?.close();
    this.#isTakenOver = true;
    void this.drain(true);
  }
}
