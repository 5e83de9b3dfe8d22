/** A certificate authority for one test run, made by the openssl program: the clients under test verify for real. */
import { join } from 'node:path';

export interface Certificates {
  /** Path of the authority's certificate, PEM. */
  authority: string;
  certificate: string;
  key: string;
}

export function makeCertificates(folder: string, names: readonly string[]): Certificates {
  const file = (name: string) => join(folder, name);
  const openssl = (...args: string[]) => {
    const run = Bun.spawnSync(['openssl', ...args], { cwd: folder, stderr: 'pipe' });
    if (run.exitCode !== 0) throw new Error(`openssl ${args[0]}: ${run.stderr}`);
  };
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl(
    'req',
    '-x509',
    ...key,
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
    '-days',
    '2',
    '-subj',
    '/CN=Test authority',
  );
  openssl('req', ...key, '-keyout', 'origin.key', '-out', 'origin.csr', '-subj', '/CN=origin');
  Bun.write(file('names.cnf'), `subjectAltName=${names.map((name) => `DNS:${name}`).join(',')}\n`);
  openssl(
    'x509',
    '-req',
    '-in',
    'origin.csr',
    '-CA',
    'ca.pem',
    '-CAkey',
    'ca.key',
    '-CAcreateserial',
    '-days',
    '2',
    '-extfile',
    'names.cnf',
    '-out',
    'origin.pem',
  ); // prettier-ignore
  return { authority: file('ca.pem'), certificate: file('origin.pem'), key: file('origin.key') };
}
