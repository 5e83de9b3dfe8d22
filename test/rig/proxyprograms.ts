/** What real programs do with a host through a proxy, and what a person sees where they are refused. */

export interface ProxyProgram {
  name: string;
  /** Programs without which it cannot be tried. */
  needs: readonly string[];
  /**
   * A shell script that says `hello` where it got through. `$0` is the host, `$CA` the authority's certificate; the
   * variables of `env` are set, and `$SOCKS` is its proxy without a scheme, `$LOGIN` its name and token.
   */
  script: string;
  /** What is seen where no rule allows the host, and where the gateway does not know who it is. */
  refused: readonly string[];
  unknown: readonly string[];
}

const NO_RULE = '403 Forbidden (Clawctl Egress, no-rule: no rule allows this host)';
const WHO = '407 Proxy Authentication Required (Clawctl Egress, credentials-missing: the proxy cannot tell';
const withoutStatus = (text: string) => text.slice(4);
const PAGE = {
  refused: ['refused (no-rule): no rule allows this host. A person can type: clawctl egress add evil.test'],
  unknown: ['refused (credentials-missing): the proxy cannot tell which agent this is'],
};
const PHRASE = { refused: [NO_RULE], unknown: [WHO] };
/** Of an answer to CONNECT it shows the number, and the rest where asked to be talkative. */
const NUMBER = {
  refused: ['CONNECT tunnel failed, response 403', NO_RULE],
  unknown: ['CONNECT tunnel failed, response 407', WHO],
};

const NODE_CONNECT = `
const http = require('node:http'), https = require('node:https');
const proxy = new URL(process.env.HTTPS_PROXY), host = process.argv[1];
const headers = { host: host + ':443' };
if (proxy.username) headers['proxy-authorization'] = 'Basic ' + btoa(proxy.username + ':' + proxy.password);
http.request({ host: proxy.hostname, port: proxy.port, method: 'CONNECT', path: host + ':443', headers })
  .on('connect', (answer, socket) => {
    if (answer.statusCode !== 200) { console.error(answer.statusCode, answer.statusMessage); process.exit(1); }
    https.get({ host, path: '/hello', socket, agent: false }, (r) => r.pipe(process.stdout));
  }).end();`;

const ssh = (proxyCommand: string) =>
  `$SSH_LOGIN -o ProxyCommand="${proxyCommand}" "$0" 'echo hello from "$SSH_CONNECTION"'`;

export const PROXY_PROGRAMS: readonly ProxyProgram[] = [
  {
    name: 'curl',
    needs: ['curl'],
    script: 'curl -sS -v "https://$0/hello"',
    ...NUMBER,
  },
  {
    name: 'curl, plain HTTP',
    needs: ['curl'],
    script: 'curl -sS --fail-with-body "http://$0/hello"',
    ...PAGE,
  },
  {
    name: 'curl over SOCKS5',
    needs: ['curl'],
    script: 'curl -sS --fail -x "socks5h://$LOGIN$SOCKS" "https://$0/hello"',
    refused: ["Can't complete SOCKS5 connection to evil.test. (2)"],
    unknown: ['No authentication method was acceptable'],
  },
  {
    name: 'wget',
    needs: ['wget'],
    script: 'wget -nv -O- --ca-certificate="$CA" "https://$0/hello"',
    refused: [`Proxy tunneling failed: ${withoutStatus(NO_RULE)}`],
    unknown: [`Proxy tunneling failed: ${withoutStatus(WHO)}`],
  },
  {
    name: 'wget, plain HTTP',
    needs: ['wget'],
    script: 'wget -nv -O- "http://$0/hello"',
    refused: [`ERROR 403: ${withoutStatus(NO_RULE)}`],
    unknown: [`ERROR 407: ${withoutStatus(WHO)}`],
  },
  {
    name: 'git',
    needs: ['git'],
    script: 'GIT_CURL_VERBOSE=1 git clone -q "https://$0/repository.git" got && cat got/file.txt',
    ...NUMBER,
  },
  {
    name: 'npm',
    needs: ['npm'],
    script:
      'echo {} > package.json; npm install --no-audit --no-fund --no-update-notifier --fetch-retries 0 --cafile "$CA" --cache ./cache --registry "https://$0/" thing && node -p "require(\'thing\')"',
    ...PHRASE,
  },
  {
    name: 'pip',
    needs: ['python3'],
    script:
      '"$PYTHON" -m pip --isolated --disable-pip-version-check install --retries 1 --no-cache-dir --no-index --target got --find-links "https://$0/links.html" thing && PYTHONPATH=got "$PYTHON" -m thing',
    ...PHRASE,
  },
  {
    name: 'Python’s urllib',
    needs: ['python3'],
    script:
      '"$PYTHON" -c "import urllib.request as u; print(u.urlopen(\'https://$0/hello\').read().decode())"',
    ...PHRASE,
  },
  {
    name: 'Python’s urllib, plain HTTP',
    needs: ['python3'],
    script:
      '"$PYTHON" -c "import urllib.request as u; print(u.urlopen(\'http://$0/hello\').read().decode())"',
    refused: [`HTTP Error 403: ${withoutStatus(NO_RULE)}`],
    unknown: [`HTTP Error 407: ${withoutStatus(WHO)}`],
  },
  {
    name: 'Node’s own CONNECT',
    needs: ['node'],
    script: `node -e "$NODE_CONNECT" "$0"`,
    ...PHRASE,
  },
  {
    name: 'Node’s fetch',
    needs: ['node that reads NODE_USE_ENV_PROXY'],
    script: `node -e 'fetch("https://" + process.argv[1] + "/hello").then((r) => r.text()).then(console.log)' "$0"`,
    refused: ['403'],
    unknown: ['407'],
  },
  {
    name: 'Bun’s fetch',
    needs: ['sh'],
    script: `"$BUN" -e "const r = await fetch('https://$0/hello', { tls: { ca: Bun.file(process.env.CA) } }); console.log(r.status, await r.text()); process.exit(r.ok ? 0 : 1)"`,
    ...PHRASE,
  },
  {
    name: 'OpenSSH over SOCKS5, by ncat',
    needs: ['ncat', 'OpenSSH'],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a shell reads it
    script: ssh('ncat --proxy-type socks5 --proxy $SOCKS ${LOGIN:+--proxy-auth ${LOGIN%@}} %h %p'),
    refused: ['connection not allowed by ruleset'],
    unknown: ['no acceptable authentication method'],
  },
  {
    name: 'OpenSSH by CONNECT, by socat',
    needs: ['socat', 'OpenSSH'],
    script: ssh('$SSH_PROXY_COMMAND'),
    refused: [withoutStatus(NO_RULE)],
    unknown: [withoutStatus(WHO)],
  },
];

export const NODE_SCRIPT = NODE_CONNECT;
