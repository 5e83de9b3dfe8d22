/** `clawctl egress doctor`: what the fence needs, tried out, and how to mend what is missing. */
import { accessSync, constants, existsSync, statfsSync, statSync } from 'node:fs';
import { release } from 'node:os';
import { dirname } from 'node:path';
import { version } from '../../package.json';
import { systemClock } from '../base/clock.ts';
import { EXIT, Failure } from '../base/failure.ts';
import { type Paths, pathsOf } from '../base/paths.ts';
import { keysForEverybody, writableByOthers } from '../config/exposure.ts';
import { killFiles, killText, readKills } from '../config/killswitch.ts';
import { loadPolicy } from '../config/load.ts';
import { readTokens } from '../config/tokens.ts';
import { movedAside } from '../events/store.ts';
import { verifyStore } from '../events/verify.ts';
import { ruleText } from '../policy/decide.ts';
import { lint } from '../policy/lint.ts';
import { lintService } from '../policy/lintservice.ts';
import { listenOf, modeOf, ruleCount } from '../policy/policy.ts';
import { type Finding, probeKernel } from '../sandbox/probe.ts';
import { resumeCommand } from './kill.ts';
import {
  dim,
  green,
  number,
  onTerminal,
  print,
  printableLines,
  printJson,
  printTable,
  red,
  sizeText,
  yellow,
} from './output.ts';

const ok = (name: string, text: string): Finding => ({ name, state: 'ok', text, fix: null });
const warning = (name: string, text: string, fix: string | null): Finding => ({
  name,
  state: 'warning',
  text,
  fix,
});
const broken = (name: string, text: string, fix: string | null): Finding => ({
  name,
  state: 'broken',
  text,
  fix,
});

/** Less room than this may be used up within a day. Octets. */
const LITTLE_ROOM = 100_000_000;

/** Resolves to the exit code: 1 where something is broken. */
export async function doctor(options: { json?: boolean }): Promise<number> {
  const paths = pathsOf();
  const findings = [
    ok('versions', `clawctl ${version}, Bun ${Bun.version}, Linux ${release()}`),
    ...(await probeKernel()),
    ...policyFindings(paths),
    ...tokenFindings(paths),
    ...storeFindings(paths),
    ...standingFindings(paths),
  ];
  if (options.json === true) printJson('doctor', { items: findings });
  else printFindings(findings);
  return findings.some((finding) => finding.state === 'broken') ? EXIT.failed : EXIT.done;
}

function policyFindings(paths: Paths): Finding[] {
  try {
    const { policy, documents, files, builtIn } = loadPolicy({ paths });
    const where = builtIn ? 'the built-in policy' : files.join(', ');
    const doubts = documents.flatMap((each) => lint(each, systemClock.now()));
    const keys = listenOf(policy).flatMap((entry) => (entry.kind === 'proxy' ? (entry.tls?.key ?? []) : []));
    return [
      ok('policy', `${ruleCount(policy)} rules from ${where}`),
      ...(modeOf(policy) === 'observe'
        ? [warning('policy', 'NOT ENFORCED: it only observes', 'Write mode: enforce.')]
        : []),
      ...writableByOthers(files).map(({ message, fix }) => broken('policy', message, fix)),
      ...keysForEverybody(keys).map(({ message, fix }) => warning('listener', message, fix)),
      ...doubts.map(({ rule, message, fix }) =>
        warning('rule', `${rule.host} (${ruleText(rule)}): ${message}`, fix),
      ),
      ...documents.flatMap(lintService).map(({ message, fix }) => warning('policy', message, fix)),
    ];
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return [broken('policy', error.message, error.fix ?? null)];
  }
}

/** Nothing where nobody has a token: most need none. */
function tokenFindings({ tokens }: Paths): Finding[] {
  try {
    const { size } = readTokens(tokens);
    return size === 0
      ? []
      : [ok('agents', `${size} ${size === 1 ? 'agent has a token' : 'agents have tokens'}`)];
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return [broken('agents', `${error.message}; nobody is let in by a token`, error.fix ?? null)];
  }
}

function storeFindings({ store }: Paths): Finding[] {
  const folder = nearestFolder(store);
  try {
    accessSync(existsSync(store) ? store : folder, constants.R_OK | constants.W_OK);
  } catch {
    const fix =
      'Make it belong to this user, or point XDG_STATE_HOME elsewhere. Until then everything is refused.';
    return [broken('store', `${store} cannot be written`, fix)];
  }
  const room = statfsSync(folder);
  const free = room.bavail * room.bsize;
  const verified = verifyStore(store);
  const text = verified.ok
    ? `${store}: ${number(verified.rows).text} rows, unbroken, ${sizeText(sizeOnDisk(store))}`
    : `${store}: ${verified.problem}${verified.row === null ? '' : ` (event ${verified.row})`}`;
  return [
    verified.ok
      ? ok('store', text)
      : broken('store', text, 'Somebody or something changed it. Keep a copy; nothing mends the past.'),
    ...asideFindings(store),
    ...(free < LITTLE_ROOM
      ? [
          warning(
            'store',
            `${sizeText(free)} are free in ${folder}`,
            'Free some space: a full disk refuses everything.',
          ),
        ]
      : []),
  ];
}

const MOST_NAMED = 3;

function asideFindings(store: string): Finding[] {
  const names = movedAside(store);
  if (names.length === 0) return [];
  const more = names.length > MOST_NAMED ? ` and ${names.length - MOST_NAMED} more` : '';
  const text = `damaged, and kept aside in ${dirname(store)}: ${names.slice(0, MOST_NAMED).join(', ')}${more}`;
  return [warning('store', text, 'What they hold is in no answer. Keep or delete them.')];
}

/** Octets, with what is not yet in the main file. */
function sizeOnDisk(store: string): number {
  const sizes = [store, `${store}-wal`].map((file) => statSync(file, { throwIfNoEntry: false })?.size ?? 0);
  return sizes.reduce((sum, each) => sum + each);
}

/** The folder that holds the path, or would hold it. */
function nearestFolder(path: string): string {
  const folder = dirname(path);
  return existsSync(folder) ? folder : nearestFolder(folder);
}

function standingFindings(paths: Paths): Finding[] {
  const findings: Finding[] = [];
  for (const kill of readKills(killFiles(paths))) {
    findings.push(warning('kill switch', killText(kill), `To go on: ${resumeCommand(kill, paths)}`));
  }
  if (process.getuid?.() === 0)
    findings.push(
      warning('user', 'this is root: files and processes are isolated less', 'Run it as an ordinary user.'),
    );
  return findings;
}

function printFindings(findings: readonly Finding[]): void {
  if (!onTerminal) {
    const rows = findings.map(({ name, state, text, fix }) => [state, name, text, fix ?? '']);
    printTable([], rows);
    return;
  }
  const marks = { ok: green('✓'), warning: yellow('!'), broken: red('✗') };
  for (const { name, state, text, fix } of findings) {
    print(`${marks[state]} ${name}: ${printableLines(text)}`);
    if (fix !== null) print(dim(`    ${printableLines(fix)}`));
  }
}
