/**
 * Where programs keep what must not leave: hidden in the fence unless `--read` names it. What is hidden need not
 * exist. Folders that agents themselves live in (their own settings and tokens) are not here: they would not work.
 */
import { readFileSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';

/** In every home. */
const IN_HOME = [
  // keys and passwords
  '.ssh',
  '.gnupg',
  '.pki',
  '.password-store',
  '.netrc',
  '.authinfo',
  '.authinfo.gpg',
  '.pgpass',
  '.my.cnf',
  '.mylogin.cnf',
  '.vault-token',
  '.config/op',
  '.config/Bitwarden',
  '.config/Bitwarden CLI',
  '.config/keepassxc',
  '.config/sops',
  '.config/age',
  '.config/rclone',
  '.local/share/keyrings',
  '.local/share/kwalletd',
  '.gnome2/keyrings',
  '.config/1Password',
  '.config/Signal',
  '.bitcoin',
  '.electrum',
  '.ethereum',
  '.config/solana',
  // clouds and clusters
  '.aws',
  '.azure',
  '.config/gcloud',
  '.boto',
  '.s3cfg',
  '.oci',
  '.bluemix',
  '.aliyun',
  '.fly',
  '.config/doctl',
  '.config/hcloud',
  '.config/scw',
  '.config/heroku',
  '.terraform.d/credentials.tfrc.json',
  '.pulumi/credentials.json',
  '.databrickscfg',
  '.snowflake',
  '.kube',
  '.docker',
  '.config/containers/auth.json',
  '.minikube',
  '.helm',
  '.config/helm/registry',
  // forges and package registries
  '.git-credentials',
  '.config/git/credentials',
  '.config/gh',
  '.config/hub',
  '.config/glab-cli',
  '.pypirc',
  '.cargo/credentials',
  '.cargo/credentials.toml',
  '.gem/credentials',
  '.m2/settings.xml',
  '.m2/settings-security.xml',
  '.gradle/gradle.properties',
  '.nuget/NuGet/NuGet.Config',
  '.composer/auth.json',
  '.config/composer/auth.json',
  // browsers and mail
  '.mozilla',
  '.librewolf',
  '.thunderbird',
  '.config/google-chrome',
  '.config/google-chrome-beta',
  '.config/chromium',
  '.config/BraveSoftware',
  '.config/microsoft-edge',
  '.config/vivaldi',
  '.config/opera',
  '.var/app',
  'snap/firefox',
  'snap/chromium',
  // what was typed
  '.bash_history',
  '.zsh_history',
  '.zhistory',
  '.histfile',
  '.history',
  '.sh_history',
  '.ash_history',
  '.local/share/fish/fish_history',
  '.local/share/atuin',
  '.local/state/bash/history',
  '.python_history',
  '.node_repl_history',
  '.psql_history',
  '.mysql_history',
  '.sqlite_history',
  '.rediscli_history',
  '.lesshst',
  '.viminfo',
  '.Xauthority',
  '.ICEauthority',
];

/** Where root runs the fence; others cannot read them anyway. */
const OF_THE_SYSTEM = [
  '/etc/shadow',
  '/etc/shadow-',
  '/etc/gshadow',
  '/etc/gshadow-',
  '/etc/sudoers',
  '/etc/sudoers.d',
  '/etc/krb5.keytab',
  '/etc/kubernetes',
  '/etc/rancher',
  '/etc/wireguard',
  '/etc/openvpn',
  '/etc/ipsec.secrets',
  '/etc/ppp/chap-secrets',
  '/etc/NetworkManager/system-connections',
  '/etc/ssl/private',
  '/etc/letsencrypt',
  '/etc/ssh/ssh_host_rsa_key',
  '/etc/ssh/ssh_host_ecdsa_key',
  '/etc/ssh/ssh_host_ed25519_key',
  '/var/lib/kubelet',
  '/var/lib/docker',
  '/var/lib/containers',
  '/var/lib/sss',
  '/var/lib/systemd/coredump',
  '/var/spool/cron',
  '/var/log/journal',
];

/** Settings files that usually hold no secret and are needed; hidden where they do hold one. */
const WHERE_THEY_HOLD_ONE: ReadonlyArray<readonly [string, RegExp]> = [
  ['.npmrc', /_auth|_password/i],
  ['.yarnrc.yml', /npmAuth/],
  ['.config/pip/pip.conf', /:\/\/[^/\s]*@/],
  ['.pip/pip.conf', /:\/\/[^/\s]*@/],
];

export interface Owner {
  homes: readonly string[];
  uid: number;
  environment: Readonly<Record<string, string | undefined>>;
}

/** Where the XDG base directory specification lets the parts of a home lie elsewhere. */
const ELSEWHERE = [
  ['XDG_CONFIG_HOME', '.config/'],
  ['XDG_DATA_HOME', '.local/share/'],
  ['XDG_STATE_HOME', '.local/state/'],
] as const;

export function credentialStores({ homes, uid, environment }: Owner): string[] {
  return [
    ...homes.flatMap((home) => IN_HOME.map((name) => join(home, name))),
    ...ELSEWHERE.flatMap(([variable, part]) => {
      const folder = environment[variable];
      if (folder === undefined || !isAbsolute(folder)) return [];
      return IN_HOME.filter((name) => name.startsWith(part)).map((name) =>
        join(folder, name.slice(part.length)),
      );
    }),
    ...homes.flatMap((home) =>
      WHERE_THEY_HOLD_ONE.filter(([name, secret]) => holds(join(home, name), secret)).map(([name]) =>
        join(home, name),
      ),
    ),
    ...(uid === 0 ? OF_THE_SYSTEM : []),
  ];
}

function holds(file: string, secret: RegExp): boolean {
  try {
    return secret.test(readFileSync(file, 'utf8'));
  } catch {
    return false;
  }
}
