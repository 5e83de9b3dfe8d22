/**
 * What is said when something is refused: to the person (on the terminal), to the agent in its own protocol,
 * and again at `clawctl.internal`. It says what was refused, why, and what a person could type; never what else
 * is allowed, and never what an address turned out to be.
 */
import { authority, type Host, hostText } from '../names/host.ts';
import type { Target } from '../policy/decision.ts';
import { bracketed } from '../policy/pattern.ts';
import { REASONS, type Reason } from '../policy/reason.ts';
import type { Problem } from './gates.ts';

export interface Refusal {
  /** Wall time, milliseconds since the Unix epoch. */
  time: number;
  agent: string;
  host: string;
  port: number;
  reason: Reason;
  /** For the person alone, such as the address class; never shown to the agent. */
  detail: string | null;
  /** The command that would allow it, or that explains it where no single rule would. */
  suggestion: string;
}

export function refusalOf(time: number, target: Target, { reason, detail }: Problem): Refusal {
  const { agent, host, port } = target;
  const suggestion = suggestionFor(host, port, reason, agent);
  return { time, agent, host: hostText(host), port, reason, detail, suggestion };
}

/** Of all that `parseHost` lets through, only brackets mean something to a shell. */
export const shellQuoted = (place: string) => (place.startsWith('[') ? `'${place}'` : place);

/** What a person could type about this target. */
function suggestionFor(host: Host, port: number, reason: Reason, agent: string): string {
  const explain = `clawctl egress explain ${shellQuoted(authority(host, port))}`;
  return additionFor(host, port, reason, agent) ?? explain;
}

/** The command that would allow it; null where no single rule would. */
export function additionFor(host: Host, port: number, reason: Reason, agent: string): string | null {
  const name = shellQuoted(bracketed(hostText(host)));
  const ports = port === 80 || port === 443 ? '' : ` --port ${port}`;
  switch (reason) {
    case 'no-rule':
    case 'port':
    case 'expired':
    case 'special-name':
      return `clawctl egress add ${name}${ports}`;
    case 'agent':
      return `clawctl egress add ${name}${ports} --agent ${agent}`;
    default:
      return null;
  }
}

/** One refusal, as the agent may see it. */
export function refusalSeen(refusal: Refusal): Record<string, string | number> {
  return {
    host: refusal.host,
    port: refusal.port,
    reason: refusal.reason,
    message: REASONS[refusal.reason],
    suggestion: refusal.suggestion,
  };
}

/** The same as a document of its own. Allowed and not reached is another one, so that nobody counts it as refused. */
export function refusalDocument(refusal: Refusal): Record<string, string | number> {
  const kind = isFailure(refusal.reason) ? 'failure' : 'refusal';
  return { schema: `clawctl.egress.${kind}/v1`, ...refusalSeen(refusal) };
}

export function refusalLine(refusal: Refusal): string {
  const place = refusal.host.includes(':') ? `[${refusal.host}]` : refusal.host;
  const what = isFailure(refusal.reason) ? 'not reached' : 'refused';
  return `${place}:${refusal.port} ${what} (${refusal.reason}): ${REASONS[refusal.reason]}. A person can type: ${refusal.suggestion}`;
}

/** Whether an Accept header (RFC 9110 section 12.5.1) asks for JSON. Without quality values: what it names first. */
export function wantsJson(accept: string | undefined): boolean {
  const text = (accept ?? '').toLowerCase();
  const json = text.search(/\bapplication\/(?:json|[a-z0-9.-]+\+json)/);
  const plain = text.search(/\btext\/|\*\/\*/);
  return json !== -1 && (plain === -1 || json < plain);
}

/** A whole HTTP/1.1 response after which we close. `head`: the request was HEAD. */
export function httpResponse(
  status: string,
  body: { json: boolean; text: string },
  head: boolean,
  extra = '',
): Uint8Array {
  const content = Buffer.from(body.text, 'utf8');
  const headers =
    `HTTP/1.1 ${status}\r\n` +
    `Content-Type: ${body.json ? 'application/json' : 'text/plain; charset=utf-8'}\r\n` +
    `Content-Length: ${content.length}\r\n${extra}Cache-Control: no-store\r\nConnection: close\r\n\r\n`;
  return Buffer.concat([Buffer.from(headers, 'latin1'), head ? new Uint8Array(0) : content]);
}

/** Hop 4 found nobody to talk to: the gateway failed, it did not refuse (RFC 9110 section 15.6.3). */
const FAILURES: ReadonlySet<Reason> = new Set(['name-not-resolved', 'connect-failed']);

export const isFailure = (reason: Reason): boolean => FAILURES.has(reason);

export function httpRefusal(refusal: Refusal, json: boolean, head: boolean): Uint8Array {
  const text = json
    ? `${JSON.stringify(refusalDocument(refusal))}\n`
    : `Clawctl Egress: ${refusalLine(refusal)}\n`;
  const status = isFailure(refusal.reason)
    ? '502 Bad Gateway'
    : refusal.reason === 'http-malformed'
      ? '400 Bad Request'
      : '403 Forbidden';
  return httpResponse(status, { json, text }, head, `X-Clawctl-Reason: ${refusal.reason}\r\n`);
}

/** RFC 8446 section 6.2: a fatal access_denied alert in a plaintext record, as every TLS client understands it. */
export const ACCESS_DENIED = Uint8Array.of(21, 3, 3, 0, 2, 2, 49);
