import { expect, test } from 'bun:test';
import { commandEnvironment } from './environment.ts';

const place = { runtimeFolder: '/run/user/7', writable: ['/tmp', '/work'] };
const given = (variables: Record<string, string>) => commandEnvironment(variables, place);

test('what leads around the fence or to programs outside is taken out', () => {
  const names = [
    ...['http_proxy', 'HTTPS_PROXY', 'all_proxy', 'NO_PROXY', 'npm_config_proxy', 'npm_config_https_proxy'],
    ...[
      'SSH_AUTH_SOCK',
      'SSH_CONNECTION',
      'GPG_AGENT_INFO',
      'DBUS_SESSION_BUS_ADDRESS',
      'DISPLAY',
      'WAYLAND_DISPLAY',
    ],
    ...['XAUTHORITY', 'DOCKER_HOST', 'TMUX', 'VSCODE_IPC_HOOK_CLI', 'NOTIFY_SOCKET', 'LISTEN_FDS', 'BROWSER'],
    ...['CLAWCTL_CHANNEL_PASSWORD', 'CLAWCTL_ENV_X'],
  ];
  const { variables } = given(Object.fromEntries(names.map((name) => [name, 'x'])));
  expect(Object.keys(variables)).toEqual(['CLAWCTL_EGRESS']);
});

test('everything else stays, also what the runtime would obey', () => {
  const usual = {
    PATH: '/bin',
    HOME: '/h',
    BUN_OPTIONS: 'x',
    LD_PRELOAD: 'x',
    NODE_OPTIONS: 'x',
    PROXY_NAME: 'x',
  };
  expect(given(usual).variables).toEqual({ ...usual, CLAWCTL_EGRESS: 'http://clawctl.internal/' });
});

test('the fence cannot be told another address of itself', () => {
  expect(given({ CLAWCTL_EGRESS: 'http://evil/' }).variables.CLAWCTL_EGRESS).toBe('http://clawctl.internal/');
});

test('the runtime folder is the fence’s own, and TMPDIR stays only where it can be written', () => {
  const { variables } = given({
    XDG_RUNTIME_DIR: '/run/user/0',
    TMPDIR: '/scratch',
    TMP: '/tmp/x',
    TEMP: '/tmpx',
  });
  expect(variables).toMatchObject({ XDG_RUNTIME_DIR: '/run/user/7', TMP: '/tmp/x' });
  expect(variables.TMPDIR).toBeUndefined();
  expect(variables.TEMP).toBeUndefined();
});

test.each([
  ...[
    'GITHUB_TOKEN',
    'AWS_SECRET_ACCESS_KEY',
    'OPENAI_API_KEY',
    'DB_PASSWORD',
    'NPM_AUTH',
    'DATABASE_URL',
    'MYAPIKEY_SECRET',
  ],
])('%s looks like a credential', (name) => {
  expect(given({ [name]: 'x' }).credentials).toEqual([name]);
});

test.each([
  'PATH',
  'KEYBOARD',
  'TOKENIZERS',
  'AUTHOR',
  'GIT_AUTHOR_NAME',
  'SSL_CERT_FILE',
  'PASSWORD_FILE',
  'MONKEY',
  'COMPASS',
])('%s does not', (name) => {
  expect(given({ [name]: 'x' }).credentials).toEqual([]);
});
