import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { protocolOf } from './protocol.ts';

const of = (text: string) => protocolOf(Buffer.from(text, 'latin1'));

describe('the protocol of the first bytes', () => {
  test('is told for what clients really send', () => {
    const known: Array<[string, ReturnType<typeof of>]> = [
      ['\x16\x03\x01\x02\x00', 'tls'],
      ['\x15\x03\x01\x00\x02', 'tls'], // an alert that a lenient server would step over
      ['\x80\x2e\x01\x03\x01', 'tls'],
      ['GET / HTTP/1.1\r\n', 'http'],
      ['\r\n\r\nGET / HTTP/1.1\r\n', 'http'],
      ['get / HTTP/1.1\n', 'http'],
      ['BREW /pot HTTP/1.0\r\n', 'http'],
      ['GET / HTTP/1.1\r', 'http'],
      ['GET / HTTP/1.1 \t\rHost: x\r\r', 'http'],
      ['GET \r/ HTTP/1.1\n', 'http'],
      ['\x16\x02\x00\x00\xc8\x01', 'tls'], // the version of a record says nothing
      ['\x15\x00\x00\x00\x02\x01', 'tls'],
      ['GET\x0b/ HTTP/1.1\n', 'http'], // Python's http.server
      ['\x85GET\xa0/\x1fHTTP/1.1\x1c\n', 'http'],
      ['GET /\x01\0 HTTP/1.1\n', 'http'],
      ['GET / HTTP/+0000000000000000000000001.1\n', 'http'],
      ['GET /HTTP/1.1\n', 'http'], // HTTP/0.9, and to Node a request whose head goes on
      ['GET /09\r\n', 'http'],
      ['get http://evil.test/\r\n', 'http'],
      ['GET / RTSP/1.0\r\n', 'http'], // Node takes these for HTTP
      ['SOURCE mount ICE/1.0\r\n', 'http'],
      ['G(ET / HTTP/1.1\r\n', 'http'], // what follows is a request to the JDK's server
      ['A/B /x HTTP/1.1\r\n', 'http'],
      ['GET /x FOO\r\n', 'http'],
      ['SELECT * FROM x\r\n', 'http'],
      [`${'A'.repeat(129)} /x HTTP/1.1\r\n`, 'http'],
      ['0032git-upload-pack /x Y\r\n', 'http'],
      ['PROXY TCP4 192.0.2.1 192.0.2.2 80 80\r\n', 'http'],
      ['PROXY UNKNOWN\r\n', 'http'],
      ['\r\n\r\n\0\r\nQUIT\n', 'http'],
      ['PRI * HTTP/2.0\r\n', 'other'],
      ['HTTP/1.1 200 OK\n', 'other'],
      ['\x16\x00\x00\x00\x00\x00', 'other'],
      ['SSH-2.0-OpenSSH_9.7\r\n', 'other'],
      ['EHLO example.com\r\n', 'other'],
      ['*1\r\n$4\r\nPING\r\n', 'other'],
      ['KEYS *\r\n', 'other'],
      ['a1 LOGIN hans *\r\n', 'other'],
      ['INVITE sip:bob@example.com SIP/2.0\r\n', 'other'],
      ["<?xml version='1.0'?><stream:stream", 'other'],
      ['( 2 ( edit-pipeline svndiff1 ) 20:svn://example.com/x', 'other'],
      ['{"jsonrpc": "2.0"', 'other'],
      ['<34>1 2026-01-31T08:00:00Z host su\n', 'other'],
      ['0\x0c\x02\x01\x01\x60', null], // LDAP
      ['0%\x02\x01\x01\x60', 'other'],
      ['NICK hans\r\n', 'other'],
      ['0032git-upload-pack /project.git\0host=example.com\0', null],
      ['0032git-upload-pack /project.git\0host=example.com\x000014command=fetch\n', 'other'],
      ['\0\0\0\x08\x04\xd2\x16\x2f', 'other'], // PostgreSQL asks for TLS
      ['\x10\x0e\0\x04MQTT', 'other'],
      ['\xff\xfd\x18', 'other'],
      ['', null],
      ['G', null],
      ['GET /', null],
      ['\x16', null],
      ['\x16\x02\x00', null],
    ];
    for (const [text, protocol] of known) expect([text, of(text)]).toEqual([text, protocol]);
  });

  test('is HTTP where the line has no end', () => {
    expect(of(`GET /${'a'.repeat(10_000)}`)).toBe('http');
    expect(of('A'.repeat(10_000))).toBe('other');
    expect(of('\r\n'.repeat(5_000))).toBe('http');
    expect(of(`\r\n${'A'.repeat(8_191)}`)).toBeNull();
    expect(of(`\r\n${'A'.repeat(8_192)}`)).toBe('other');
  });

  test('once told, does not change with what follows', () => {
    const starts = [
      'GET ',
      '\r\n',
      'PRI * HTTP/2.0',
      'G( ',
      ' /x',
      ' *',
      'PROXY ',
      '0032git-x /',
      '\x16\x03',
      '\x80\x2e\x01\x03',
      'a b\n',
      ' HTTP/1.1\n',
      '\0',
    ];
    const piece = fc.oneof(fc.constantFrom(...starts), fc.string({ maxLength: 5, unit: 'binary-ascii' }));
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 6 }), (pieces) => {
        const text = pieces.join('');
        let told: ReturnType<typeof of> = null;
        for (let length = 0; length <= text.length; length++) {
          const now = of(text.slice(0, length));
          if (told !== null && now !== told) return false;
          told = now;
        }
        return true;
      }),
      { numRuns: 2_000 },
    );
  });
});
