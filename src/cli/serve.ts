/** `clawctl egress serve`: a gateway for many agents, until it is told to end. */
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { parseDuration } from '../base/duration.ts';
import { EXIT, Failure } from '../base/failure.ts';
import { type Paths, pathsOf } from '../base/paths.ts';
import { killFiles, killText, readKills } from '../config/killswitch.ts';
import { loadPolicy } from '../config/load.ts';
import { readTokens, type Tokens } from '../config/tokens.ts';
import { isAgentName } from '../policy/agentname.ts';
import { agentsOf, isPlace, type ListenEntry, readPlace } from '../policy/listener.ts';
import { listenOf, modeOf, type Policy } from '../policy/policy.ts';
import { ownProgram } from '../sandbox/program.ts';
import { ServiceFolder, serviceName } from '../service/folder.ts';
import { SLOTS_OF_GENERATION } from '../service/ledger.ts';
import { notifySystemd } from '../service/notify.ts';
import { keyOf } from '../service/sockets.ts';
import { Supervisor } from '../service/supervisor.ts';
import { type Inheritance, takeOver } from '../service/takeover.ts';
import { givenBack } from './environment.ts';
import { sayExposed } from './exposed.ts';
import { iso, jsonText, printableLines, sayRaw } from './output.ts';

export interface ServeOptions {
  listen?: string[];
  transparent?: string[];
  dns?: string[];
  admin?: string;
  agent?: string;
  workers?: string;
  policy?: string;
  name: string;
  drain: string;
  takeover?: boolean;
  json?: boolean;
}

const USUAL = '127.0.0.1:8880';
/** A day: longer, and nobody remembers that it still ends. */
const LONGEST_DRAIN = 86_400_000;

/** Resolves to the exit code, once it has ended. */
export async function serve(options: ServeOptions): Promise<number> {
  const paths = pathsOf();
  const policyFile = options.policy === undefined ? null : resolve(options.policy);
  const say = createTeller(options.json === true);
  const drain = parseDuration(options.drain);
  if (drain === null || drain > LONGEST_DRAIN)
    throw new Failure(
      'bad-duration',
      `'${printableLines(options.drain)}' is not a time to drain.`,
      'Write it as 0s, 90s or 30m; 24h at most.',
    );
  const { policy, files } = loadPolicy(policyFile === null ? { paths } : { paths, policyFile });
  sayExposed(files);
  const listen = listenOf(policy);
  const asked = fixedEntries(options);
  const fixed = asked.length === 0 && listen.length === 0 ? entriesOf('proxy', [USUAL], options) : asked;
  checkAgent(options, fixed.length > 0);
  const admin = options.admin === undefined ? null : adminPlace(options.admin);
  const workers = workersOf(options.workers);
  const folder = folderOf(options, paths);
  const inheritance = inheritanceOf(options, folder);
  if (options.takeover === true && inheritance === null)
    say(`no service '${options.name}' runs in ${folder.described}: this one starts anew`);
  for (const line of unknownAgents(agentsOf(fixed), policy, tokensIfSound(paths))) say(line);
  let broken: Failure | null = null;
  let supervisor: Supervisor;
  try {
    supervisor = new Supervisor({
      ...{ paths, policyFile, folder, fixed, listen, workers, drain, admin, inheritance, say },
      environment: givenBack(process.env),
      program: ownProgram('__worker').argv,
      onBroken({ code, message, fix }) {
        broken ??= new Failure(code, message, fix ?? undefined);
        supervisor.abort();
      },
    });
  } catch (error) {
    folder.leave(false);
    throw options.takeover === true ? takenAnyway(error, options, folder, inheritance) : error;
  }
  process.on('SIGHUP', () => {
    say('the policy, the tokens and the certificates are read again');
    supervisor.reload();
  });
  let isTold = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => {
      if (isTold) {
        say(`${signal} again: what is open is cut now`);
        supervisor.hasten();
        return;
      }
      isTold = true;
      // After a takeover it drains already, and somebody may tell it to end without knowing.
      const time = supervisor.isDraining ? 'the rest of its time' : options.drain;
      say(`${signal}: nothing new is accepted; what is open has ${time} to end, or until another signal`);
      void supervisor.drain();
    });
  try {
    await Promise.race([supervisor.start(), supervisor.ended]);
  } catch (error) {
    supervisor.abort();
    throw error;
  }
  if (broken !== null) throw broken;
  if (modeOf(policy) === 'observe') say('NOT ENFORCED: the policy only observes');
  for (const kill of readKills(killFiles(paths))) say(killText(kill));
  say(`serving ${supervisor.places.join(', ')} with ${workers} ${workers === 1 ? 'worker' : 'workers'}`);
  await supervisor.ended;
  if (broken !== null) throw broken;
  notifySystemd('STATUS=Ended');
  say('ended');
  return EXIT.done;
}

/** One line each, for a journal. */
function createTeller(json: boolean): (text: string) => void {
  if (!json) return (text) => sayRaw(`clawctl: ${printableLines(text)}\n`);
  return (text) =>
    sayRaw(`${jsonText({ schema: 'clawctl.egress.notice/v1', time: iso(Date.now()), text })}\n`);
}

function fixedEntries(options: ServeOptions): ListenEntry[] {
  const entries = [
    ...entriesOf('proxy', options.listen ?? [], options),
    ...entriesOf('transparent', options.transparent ?? [], options),
    ...entriesOf('dns', options.dns ?? [], options),
  ];
  // A free port is another one each time.
  const keys = entries.map((entry) =>
    'port' in entry.where && entry.where.port === 0 ? null : keyOf(entry),
  );
  const twice = keys.find((key, index) => key !== null && keys.indexOf(key) < index);
  if (twice != null)
    throw new Failure('usage', `${twice.split(' ')[1]} is given twice.`, 'Take one of the two out.');
  return entries;
}

function checkAgent({ agent }: ServeOptions, hasPlaces: boolean): void {
  if (agent === undefined) return;
  if (!isAgentName(agent))
    throw new Failure(
      'usage',
      `'${printableLines(agent)}' is not the name of an agent.`,
      'It has 1 to 64 letters, digits and . _ + @ - and begins with a letter or digit.',
    );
  if (!hasPlaces)
    throw new Failure(
      'usage',
      '--agent is for listeners on the command line, and there are none.',
      'Add --listen, or write agent: beside the listener in the policy.',
    );
}

/** The running service knows them by its listeners; every other command goes by the policy and the tokens. */
function unknownAgents(agents: readonly string[], policy: Policy, tokens: Tokens): string[] {
  const isNamed = (agent: string) =>
    policy.agents.has(agent) || tokens.has(agent) || agentsOf(listenOf(policy)).includes(agent);
  return [...new Set(agents)]
    .filter((agent) => !isNamed(agent))
    .map(
      (agent) =>
        `the policy does not name ${agent}: env, kill and agents list will not know it\n` +
        `  Write its listener, with agent: ${agent}, under listen: in the policy instead.`,
    );
}

/** Damaged ones let nobody in, which the workers say. */
function tokensIfSound({ tokens }: Paths): Tokens {
  try {
    return readTokens(tokens);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return new Map();
  }
}

function entriesOf(
  kind: ListenEntry['kind'],
  places: readonly string[],
  options: ServeOptions,
): ListenEntry[] {
  const agent = options.agent ?? null;
  return places.map((text) => {
    const where = placeOf(text, kind);
    if (kind === 'proxy') return { kind, where, tls: null, proxyProtocol: [], agent };
    if ('path' in where) throw new Error('a redirected listener at a path');
    return { kind, where, agent };
  });
}

function placeOf(text: string, kind: ListenEntry['kind']) {
  const place = readPlace(text, kind, true);
  if (isPlace(place)) return place;
  throw new Failure('usage', `${place.message}.`, place.fix);
}

function adminPlace(text: string): { host: string; port: number } {
  const place = placeOf(text, 'proxy');
  if ('path' in place)
    throw new Failure(
      'usage',
      'The admin socket is there already.',
      'Give an address, such as 127.0.0.1:9090.',
    );
  return { host: place.address.text, port: place.port };
}

function workersOf(text: string | undefined): number {
  if (text === undefined) return Math.min(availableParallelism(), SLOTS_OF_GENERATION);
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1 || count > SLOTS_OF_GENERATION)
    throw new Failure(
      'usage',
      `'${printableLines(text)}' is not a number of workers.`,
      `Give one from 1 to ${SLOTS_OF_GENERATION}, or leave it out for one for each processor.`,
    );
  return count;
}

function folderOf({ name }: { name: string }, paths: Paths): ServiceFolder {
  return new ServiceFolder(paths, serviceName(name));
}

/** Advice that does not name an option that was given. */
function takenAnyway(
  error: unknown,
  { name }: ServeOptions,
  { described }: ServiceFolder,
  inheritance: Inheritance | null,
): unknown {
  if (!(error instanceof Failure) || error.code !== 'address-taken') return error;
  const cause =
    inheritance === null
      ? `To take over what listens there, run it as its user, with its --name and its folder: no service '${name}' was found in ${described}.`
      : 'Listen elsewhere, or end what listens there: it is not the service that was to be taken over.';
  return new Failure(error.code, error.message, cause);
}

/** Null: nobody serves yet. Throws Failure where somebody does and is not to be taken over, or cannot be. */
function inheritanceOf({ takeover, name }: ServeOptions, folder: ServiceFolder): Inheritance | null {
  try {
    if (takeover === true) {
      const inheritance = takeOver(folder.door('takeover'));
      if (inheritance !== null) {
        folder.inherit(inheritance.lock);
        return inheritance;
      }
    }
    if (folder.take()) return null;
  } catch (error) {
    throw new Failure(
      'gateway-broken',
      `The service cannot begin: ${(error as Error).message}.`,
      `Its folder is ${folder.path}, by XDG_RUNTIME_DIR; this user has to own it.`,
    );
  }
  throw new Failure(
    'gateway-runs',
    `A service '${name}' runs already.`,
    'Take it over with --takeover, or give another one its own --name.',
  );
}
