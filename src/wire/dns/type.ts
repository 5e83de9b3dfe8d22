/** The numbers of RFC 1035 section 3.2 and the IANA registry "Domain Name System (DNS) Parameters". */

export const TYPE = { A: 1, CNAME: 5, PTR: 12, AAAA: 28, OPT: 41, SVCB: 64, HTTPS: 65 } as const;
export const CLASS_IN = 1;
export const RCODE = {
  noError: 0,
  formErr: 1,
  servFail: 2,
  nxDomain: 3,
  notImp: 4,
  refused: 5,
  /** Needs EDNS: its upper bits travel in the OPT record (RFC 6891 section 6.1.3). */
  badVers: 16,
} as const;

const NAMES: Readonly<Record<number, string>> = {
  1: 'A',
  2: 'NS',
  5: 'CNAME',
  6: 'SOA',
  10: 'NULL',
  12: 'PTR',
  13: 'HINFO',
  15: 'MX',
  16: 'TXT',
  28: 'AAAA',
  29: 'LOC',
  33: 'SRV',
  35: 'NAPTR',
  39: 'DNAME',
  41: 'OPT',
  43: 'DS',
  44: 'SSHFP',
  46: 'RRSIG',
  48: 'DNSKEY',
  52: 'TLSA',
  64: 'SVCB',
  65: 'HTTPS',
  99: 'SPF',
  249: 'TKEY',
  250: 'TSIG',
  251: 'IXFR',
  252: 'AXFR',
  255: 'ANY',
  256: 'URI',
  257: 'CAA',
};

/** `AAAA`, or `TYPE1234` for a type without a name here (RFC 3597 section 5). */
export function typeName(type: number): string {
  return NAMES[type] ?? `TYPE${type}`;
}
