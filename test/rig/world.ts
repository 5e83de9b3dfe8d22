/** Everything around a fence in a test: name server, origins, sink, a home and XDG folders of its own. */
import { chmodSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Certificates, makeCertificates } from './certificates.ts';
import { removeFolder } from './folder.ts';
import { type NameServer, openNameServer } from './nameserver.ts';
import { ORIGIN, ORIGIN6, type Origins, openOrigins, WEBSOCKET } from './origins.ts';
import { openSink, type Sink } from './sink.ts';

/** True inside `scripts/rig`, where the addresses below are safe to use. */
export const inRig = process.env.CLAWCTL_TEST_RIG === '1';
if (!inRig)
  console.warn('skipped: these tests need the private network that scripts/rig makes (scripts/test uses it)');

const CLAWCTL = resolve(import.meta.dir, '../../clawctl');

export interface Finished {
  code: number;
  stdout: string;
  stderr: string;
}

export interface World {
  folder: string;
  /** The working directory of fenced commands. */
  workspace: string;
  home: string;
  environment: Record<string, string>;
  certificates: Certificates;
  nameServer: NameServer;
  origins: Origins;
  sink: Sink;
  /** `clawctl egress …` with this world's folders. */
  clawctl(args: readonly string[], options?: { input?: string }): Promise<Finished>;
  /** Runs a command in a fence under the given policy text. */
  fenced(policy: string, command: readonly string[], options?: FenceOptions): Promise<Finished>;
  /** The same, still running, with pipes. */
  start(policy: string, command: readonly string[], options?: FenceOptions): ReturnType<typeof spawn>;
  close(): void;
}

export interface FenceOptions {
  flags?: readonly string[];
  environment?: Record<string, string>;
  cwd?: string;
}

function spawn(args: readonly string[], environment: Record<string, string>, cwd: string) {
  const program = process.env.CLAWCTL_TEST_BINARY ?? CLAWCTL;
  return Bun.spawn([program, 'egress', ...args], {
    cwd,
    env: environment,
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'pipe',
  });
}

export async function finish(child: ReturnType<typeof spawn>, input = ''): Promise<Finished> {
  child.stdin.write(input);
  child.stdin.end();
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, stdout, stderr };
}

export async function openWorld(): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), 'clawctl-test-'));
  chmodSync(folder, 0o755);
  const place = (name: string) => {
    mkdirSync(join(folder, name), { recursive: true });
    return join(folder, name);
  };
  const workspace = place('workspace');
  const home = place('home');
  const names = [
    'allowed.test',
    'git.test',
    'ws.test',
    'registry.test',
    '*.wild.test',
    'evil.test',
    'other.test',
  ];
  const certificates = makeCertificates(place('certificates'), names);
  const environment: Record<string, string> = {
    PATH: process.env.PATH ?? '/usr/bin:/bin',
    HOME: home,
    TERM: 'dumb',
    LANG: 'C.UTF-8',
    XDG_CONFIG_HOME: place('config'),
    XDG_STATE_HOME: place('state'),
    XDG_RUNTIME_DIR: place('runtime'),
  };
  // The authority travels in the workspace: /tmp of the host is not visible inside.
  const authority = join(workspace, 'ca.pem');
  writeFileSync(authority, await Bun.file(certificates.authority).text());
  for (const name of [
    'SSL_CERT_FILE',
    'CURL_CA_BUNDLE',
    'NODE_EXTRA_CA_CERTS',
    'GIT_SSL_CAINFO',
    'REQUESTS_CA_BUNDLE',
  ])
    environment[name] = authority;
  const nameServer = await openNameServer();
  for (const name of names.slice(0, 5)) nameServer.names.set(name.replace('*', 'a'), [ORIGIN, ORIGIN6]);
  nameServer.names.set('ws.test', [WEBSOCKET]);
  nameServer.names.set('evil.test', ['203.0.113.66']);
  const origins = await openOrigins(certificates, place('served'));
  const sink = await openSink();
  let policies = 0;
  const start: World['start'] = (policy, command, options = {}) => {
    policies += 1;
    const file = join(folder, `policy-${policies}.yaml`);
    writeFileSync(file, policy);
    const args = ['run', '--policy', file, ...(options.flags ?? []), '--', ...command];
    return spawn(args, { ...environment, ...options.environment }, options.cwd ?? workspace);
  };
  return {
    folder,
    workspace,
    home,
    environment,
    certificates,
    nameServer,
    origins,
    sink,
    start,
    clawctl: (args, options) => finish(spawn(args, environment, workspace), options?.input),
    fenced: (policy, command, options) => finish(start(policy, command, options)),
    close() {
      nameServer.close();
      origins.close();
      sink.close();
      removeFolder(folder);
    },
  };
}
