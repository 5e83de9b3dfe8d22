/** `--publish [HOST:]PORT[:PORT]`: where to listen outside, and the port inside that it leads to. */
import { Failure } from '../base/failure.ts';
import type { Publication } from '../compose/publish.ts';
import { parseAddress } from '../names/address.ts';

const USUAL_HOST = '127.0.0.1';

export function publicationsOf(texts: readonly string[]): Publication[] {
  return texts.map((text) => {
    const [, host = USUAL_HOST, port = '', inside = port] =
      /^(?:(\[[^\]]+\]|[^:]*\.[^:]*):)?(\d{1,5})(?::(\d{1,5}))?$/.exec(text) ?? [];
    const address = parseAddress(host.replace(/^\[|\]$/g, ''));
    if (address === null || !isPort(port) || !isPort(inside))
      throw new Failure(
        'usage',
        `--publish ${text}: it is [HOST:]PORT[:PORT], where HOST is an address of this machine.`,
        'Such as --publish 8080, --publish 8080:80 or --publish 10.0.0.1:8080:80.',
      );
    return { host: address.text, port: Number(port), inside: Number(inside) };
  });
}

function isPort(text: string): boolean {
  return /^[1-9]\d{0,4}$/.test(text) && Number(text) <= 65_535;
}
