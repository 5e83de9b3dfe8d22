/**
 * The variables by which programs find their proxy, and the forms in which people write them down. The token is never
 * put where it would be kept or shared: a Dockerfile and a compose file name a variable that holds it instead.
 */

/** Holds the agent's token wherever it is not written out. */
export const TOKEN_VARIABLE = 'CLAWCTL_TOKEN';

export type Format = 'shell' | 'env-file' | 'docker' | 'compose' | 'json';

export interface Access {
  agent: string;
  /** `http://127.0.0.1:8880`. */
  proxy: string;
  /** The token; null: the variable is named in its place. */
  token: string | null;
  /** False where the agent is known without its name and token. */
  credentials: boolean;
}

/** What this machine itself answers needs no proxy. */
const NO_PROXY = 'localhost,127.0.0.1,::1';
const TOKEN = `\${${TOKEN_VARIABLE}}`;

/** In the order in which they are written. */
export function proxyVariables(access: Access): Array<[name: string, value: string]> {
  const url = proxyUrl(access);
  const both = (name: string, value: string): Array<[string, string]> => [
    [name, value],
    [name.toLowerCase(), value],
  ];
  return [
    ...both('HTTP_PROXY', url),
    ...both('HTTPS_PROXY', url),
    ...both('ALL_PROXY', url),
    ...both('NO_PROXY', NO_PROXY),
    // Node looks at the others only where it is told to (nodejs.org/api/cli.html).
    ['NODE_USE_ENV_PROXY', '1'],
    // What a file of settings says would win over the others.
    ['npm_config_proxy', url],
    ['npm_config_https_proxy', url],
    ['npm_config_noproxy', NO_PROXY],
    ['PIP_PROXY', url],
    // Else git asks without credentials first, and is refused (git-config(1), http.proxyAuthMethod).
    ...(access.credentials ? [['GIT_HTTP_PROXY_AUTHMETHOD', 'basic'] as [string, string]] : []),
  ];
}

/** With the agent's name and token, as RFC 3986 section 3.2.1 writes them. */
function proxyUrl({ agent, proxy, token, credentials }: Access): string {
  if (!credentials) return proxy;
  return proxy.replace('://', `://${encodeURIComponent(agent)}:${token ?? TOKEN}@`);
}

/** For ssh_config(5): neither ssh nor its scp and git look at any variable. `%h` and `%p` are its own. */
export function sshProxyCommand({ agent, proxy, token, credentials }: Access): string | null {
  const { protocol, hostname, port } = new URL(proxy);
  if (protocol !== 'http:') return null;
  const login = credentials ? `,proxyauth=${agent}:${token ?? `$${TOKEN_VARIABLE}`}` : '';
  return `socat - PROXY:${hostname}:%h:%p,proxyport=${port || 80}${login}`;
}

/** Everything but JSON; ends with a line end. */
export function written(access: Access, format: Exclude<Format, 'json'>): string {
  const variables = proxyVariables(access);
  switch (format) {
    case 'shell':
      return shell(access, variables);
    case 'env-file':
      return lines(variables.map(([name, value]) => `${name}=${value}`));
    case 'docker':
      return lines([
        ...(access.credentials
          ? [
              `# docker build --build-arg ${TOKEN_VARIABLE}=…; the token becomes part of the image, so keep both secret.`,
              `ARG ${TOKEN_VARIABLE}`,
            ]
          : []),
        ...variables.map(([name, value]) => `ENV ${name}="${value}"`),
      ]);
    case 'compose':
      return lines([
        'environment:',
        ...variables.map(([name, value]) => `  ${name}: "${value.replaceAll(TOKEN, inCompose(access))}"`),
        ...(access.proxy.includes(`//${OUTSIDE_CONTAINER}:`)
          ? ['extra_hosts:', `  - "${OUTSIDE_CONTAINER}:host-gateway"`]
          : []),
      ]);
  }
}

/** What a container calls the machine that it runs on. */
export const OUTSIDE_CONTAINER = 'host.docker.internal';

/** Compose fills it in from its own environment or its .env file, and stops where it is not there. */
const inCompose = ({ agent }: Access) => `\${${TOKEN_VARIABLE}:?the token of ${agent}}`;

function shell(access: Access, variables: ReadonlyArray<[string, string]>): string {
  const named = access.credentials && access.token === null;
  const ssh = sshProxyCommand(access);
  return lines([
    ...(named ? [`: "\${${TOKEN_VARIABLE}:?put the token of ${access.agent} there first}"`] : []),
    // Without a token there is nothing in a value that a shell would look at but the variable.
    ...variables.map(([name, value]) => `export ${name}="${value}"`),
    ...(ssh === null ? [] : [`# For ssh, in ~/.ssh/config: ProxyCommand ${ssh}`]),
  ]);
}

const lines = (all: readonly string[]) => all.map((line) => `${line}\n`).join('');
