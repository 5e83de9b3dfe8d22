import { describe, expect, test } from 'bun:test';
import { isSpecialName } from './host.ts';

describe('isSpecialName', () => {
  const SPECIAL: Record<string, string> = {
    'names of this machine':
      'localhost foo.localhost a.b.localhost ip6-localhost ip6-loopback localhost.localdomain localhost6.localdomain6',
    'names without a dot': 'router com metadata instance-data',
    'names of private networks':
      'printer.local db.internal x.home.arpa nas.lan wiki.corp tv.home web.intranet',
    'names of clusters and containers':
      'kubernetes.default.svc api.default.svc.cluster.local host.docker.internal vault.service.consul',
    'metadata services':
      'metadata.google.internal instance-data.ec2.internal metadata.tencentyun.com metadata.goog',
    'services that answer with the address in the name':
      '127.0.0.1.nip.io nip.io a.10-0-0-1.sslip.io 7f000001.c0a80001.rbndr.us 8.8.8.8.nip.io',
    'domains that always mean this machine':
      'localtest.me x.y.localtest.me lvh.me localhost.localstack.cloud',
    'a private address spelled under any domain':
      '127.0.0.1.example.com app-10-0-0-5.example.com 1.169.254.169.254.example.com 168-63-129-16.example.com',
    'names that no public resolver knows': 'abc.onion x.invalid 1.0.0.127.in-addr.arpa x.alt',
  };
  for (const [what, names] of Object.entries(SPECIAL))
    test(what, () => {
      for (const name of names.split(' ')) expect([name, isSpecialName(name)]).toEqual([name, true]);
    });

  test('ordinary names are not special', () => {
    const names =
      'example.com local.example.com localhost.example.com notlocaltest.me xnip.io internal.company.com evil.test ' +
      '8.8.8.8.example.com 1.2.3.example.com v10-0-0.example.com 999.0.0.1.example.com 10.0.0.1234.example.com';
    for (const name of names.split(' ')) expect([name, isSpecialName(name)]).toEqual([name, false]);
  });
});
