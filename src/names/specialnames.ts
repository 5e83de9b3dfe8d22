/** Names that lead to this machine, its network or nowhere, whatever a public resolver says about them. */

/** Top-level names that are not part of the public name space. */
export const PRIVATE_SUFFIXES: ReadonlySet<string> = new Set([
  // IANA's special-use domain names
  'localhost', // RFC 6761
  'invalid', // RFC 6761
  'local', // RFC 6762
  'onion', // RFC 7686
  'alt', // RFC 9476
  'arpa', // home.arpa (RFC 8375), reverse names, ipv4only.arpa (RFC 8880), resolver.arpa (RFC 9462)
  'internal', // reserved by ICANN in 2024; metadata.google.internal and its like
  // RFC 6762 appendix G, and names that ICANN holds back because networks use them
  'intranet',
  'private',
  'corp',
  'home',
  'lan',
  'mail',
  'localdomain',
  'localdomain4',
  'localdomain6',
  // search lists of clusters
  'svc',
  'consul',
]);

/** Public domains that lead there all the same, with every name below them. */
export const LOCAL_DOMAINS: ReadonlySet<string> = new Set([
  // metadata services of clouds
  'metadata.goog',
  'metadata.tencentyun.com',
  'metadata.packet.net',
  'metadata.platformequinix.com',
  'api.metadata.cloud.ibm.com',
  // whatever address the name spells
  'nip.io',
  'sslip.io',
  'xip.io',
  'traefik.me',
  'backname.io',
  'ipq.co',
  'plex.direct',
  'local-ip.co',
  'local-ip.sh',
  // two addresses in turn, for rebinding
  'rbndr.us',
  '1u.ms',
  'rebind.it',
  // always this machine or its own network
  'localtest.me',
  'lvh.me',
  'lcl.host',
  'vcap.me',
  'fuf.me',
  'ulh.us',
  'lacolhost.com',
  'yoogle.com',
  'localho.st',
  'localh.st',
  'local.gd',
  'lndo.site',
  'ddev.site',
  'smackaho.st',
  'beweb.com',
  'loopback.jp',
  'bosh-lite.com',
  'localhost.direct',
  'localhost.localstack.cloud',
  'localhost.domaincontrol.com',
  'spoofed.burpcollaborator.net',
]);
