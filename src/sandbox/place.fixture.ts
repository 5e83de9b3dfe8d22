/** For tests: a home, a workspace and our own folders for one user, and commands launched there. */
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { Paths } from '../base/paths.ts';
import { pathsOf } from '../base/paths.ts';
import { USER } from './inside.fixture.ts';
import type { Told } from './launch.fixture.ts';
import type { LaunchRequest } from './launch.ts';

const FIXTURE = `${import.meta.dir}/launch.fixture.ts`;
const BUN = [process.execPath, '--no-env-file', '--config=/dev/null', '--no-install'];
const isRoot = process.getuid!() === 0;

export interface Place {
  folder: string;
  home: string;
  workspace: string;
  paths: Paths;
  /** Writes a file that belongs to the user. */
  put(path: string, text: string): void;
  start(command: string[], options?: Options): Running;
  run(command: string[], options?: Options): Promise<Ended>;
  /** Runs JavaScript inside, on the same runtime. */
  runScript(script: string, options?: Options): Promise<Ended>;
  /** The same as words for a shell. */
  line(command: string[]): string;
  /** Arguments that run others as the user. */
  become(command: string[]): string[];
  remove(): void;
}

export interface Options
  extends Partial<Pick<LaunchRequest, 'writes' | 'reads' | 'sockets' | 'fresh' | 'cwd' | 'agent'>> {
  environment?: Record<string, string>;
  stdin?: 'pipe' | 'ignore' | number;
  stdout?: 'pipe' | number;
  stderr?: 'pipe' | number;
}

export interface Ended extends Told {
  code: number;
  stdout: string;
  stderr: string;
}

export interface Running {
  child: Bun.Subprocess;
  /** Once `go` is near. */
  told(): Told | null;
  ended: Promise<Ended>;
}

/** `asRoot`: only where the test itself is root. Outside of /tmp, which the fence has of its own. */
export function makePlace(asRoot: boolean, parent = '/var/lib'): Place {
  const user = asRoot ? 0 : USER;
  const folder = mkdtempSync(join(isRoot ? parent : process.env.HOME!, 'clawctl-test-'));
  const give = (path: string) => {
    mkdirSync(path, { recursive: true });
    if (isRoot) chownSync(path, user, user);
    return path;
  };
  chmodSync(folder, 0o755);
  give(folder);
  const home = give(join(folder, 'home'));
  const workspace = give(join(folder, 'workspace'));
  const environment = { HOME: home, PATH: '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin' };
  const paths = pathsOf(environment, home);
  let runs = 0;

  const become = (command: string[]) =>
    isRoot && !asRoot
      ? ['setpriv', '--reuid', `${user}`, '--regid', `${user}`, '--clear-groups', ...command]
      : command;
  const launching = (command: string[], options: Options) => {
    const report = join(folder, `report-${runs++}.json`);
    const request: LaunchRequest = {
      command,
      agent: 'tester',
      session: 'session',
      writes: [],
      reads: [],
      sockets: [],
      fresh: false,
      quiet: false,
      cwd: workspace,
      paths,
      policyFiles: [paths.policy],
      dialers: 0,
      ...options,
      environment: { ...environment, ...options.environment },
    };
    return { report, argv: [...BUN, FIXTURE, JSON.stringify(request), report] };
  };
  const start: Place['start'] = (command, options = {}) => {
    const { report, argv } = launching(command, options);
    const child = Bun.spawn(become(argv), {
      stdio: [options.stdin ?? 'ignore', options.stdout ?? 'pipe', options.stderr ?? 'pipe'],
      env: environment,
    });
    const told = () =>
      existsSync(report) ? (JSON.parse(readFileSync(report, 'utf8') || 'null') as Told | null) : null;
    const text = (stream: unknown) => (stream instanceof ReadableStream ? new Response(stream).text() : '');
    const ended = Promise.all([child.exited, text(child.stdout), text(child.stderr)]).then(
      ([code, stdout, stderr]) => ({ code, stdout, stderr, ...told()! }),
    );
    return { child, told, ended };
  };
  const run: Place['run'] = (command, options) => start(command, options).ended;
  return {
    folder,
    home,
    workspace,
    paths,
    become,
    line: (command) => {
      // Long lines would be folded by the terminal; a file is short.
      const script = join(folder, `run-${runs}.sh`);
      const { argv } = launching(command, { environment: { TERM: 'dumb' } });
      writeFileSync(script, `exec ${argv.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ')}\n`);
      return `sh ${script}`;
    },
    put: (path, text) => {
      give(dirname(path));
      writeFileSync(path, text);
      if (isRoot) chownSync(path, user, user);
    },
    start,
    run,
    runScript: (script, options) => run([...BUN, '-e', script], options),
    remove: () => {
      // While a fence stands, overlayfs keeps a folder in the layer that not even its owner may enter.
      Bun.spawnSync(['chmod', '-R', 'u+rwx', folder], { stderr: 'ignore' });
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
