/** For tests: builds ClientHellos, well formed and otherwise. */

const u16 = (n: number) => [n >> 8, n & 255];
const u24 = (n: number) => [n >> 16, (n >> 8) & 255, n & 255];
const text = (value: string) => [...Buffer.from(value, 'latin1')];

export const extension = (type: number, data: number[]) => [...u16(type), ...u16(data.length), ...data];

export const nameEntry = (name: string, type = 0) => [type, ...u16(name.length), ...text(name)];

export function serverName(...entries: number[][]): number[] {
  const list = entries.flat();
  return extension(0, [...u16(list.length), ...list]);
}

export function alpn(...protocols: string[]): number[] {
  const list = protocols.flatMap((protocol) => [protocol.length, ...text(protocol)]);
  return extension(16, [...u16(list.length), ...list]);
}

export const versions = (...list: number[]) => extension(43, [2 * list.length, ...list.flatMap(u16)]);

/** A handshake message: type, length, body. */
export const message = (type: number, body: number[], length = body.length) => [
  type,
  ...u24(length),
  ...body,
];

/** Null extensions leave their block out altogether. */
export function helloBody(extensions: number[][] | null): number[] {
  const suites = [0x1301, 0x1302, 0xc02f].flatMap(u16);
  const block = extensions?.flat();
  return [
    ...u16(0x0303),
    ...Array(32).fill(7),
    32,
    ...Array(32).fill(9),
    ...u16(suites.length),
    ...suites,
    ...[1, 0],
    ...(block === undefined ? [] : [...u16(block.length), ...block]),
  ];
}

export const hello = (...extensions: number[][]) => message(1, helloBody(extensions));

export const record = (payload: number[], type = 22, version = 0x0301) => [
  type,
  ...u16(version),
  ...u16(payload.length),
  ...payload,
];

/** The message cut at the given places and before every 16384 octets, a record each. */
export function records(handshake: number[], ...cuts: number[]): Uint8Array {
  const ends = [...cuts, handshake.length];
  for (let at = 16_384; at < handshake.length; at += 16_384) ends.push(at);
  ends.sort((a, b) => a - b);
  const parts = ends.map((end, i) => handshake.slice(i === 0 ? 0 : ends[i - 1], end));
  return Uint8Array.from(parts.filter((part) => part.length > 0).flatMap((part) => record(part)));
}
