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
      ['PRI * HTTP/2.0\r\n', 'other'],
      ['GET /HTTP/1.1\n', 'other'], // HTTP/0.9, which names no host
      ['HTTP/1.1 200 OK\n', 'other'],
      ['\x16\x00\x00\x00\x00\x00', 'other'],
      ['SSH-2.0-OpenSSH_9.7\r\n', 'other'],
      ['EHLO example.com\r\n', 'other'],
      ['*1\r\n$4\r\nPING\r\n', 'other'],
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
  });

  test('once told, does not change with what follows', () => {
    const starts = [
      'GET ',
      '\r\n',
      'PRI * HTTP/2.0',
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
