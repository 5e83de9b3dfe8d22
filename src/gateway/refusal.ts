/**
 * What is said when something is refused: to the person (on the terminal), to the agent in its own protocol,
 * and again at `clawctl.internal`. It says what was refused, why, and what a person could type; never what else
 * is allowed, and never what an address turned out to be.
 */
import { classOf } from '../names/addressclass.ts';
import { authority, type Host, hostText, isLocalhost } from '../names/host.ts';
import { isAgentName } from '../policy/agentname.ts';
import type { Target } from '../policy/decision.ts';
import { bracketed } from '../policy/pattern.ts';
import { REASONS, type Reason } from '../policy/reason.ts';
import type { Problem } from './gates.ts';

export interface Refusal {
  /** Wall time, milliseconds since the Unix epoch. */
  time: number;
  agent: string;
  /** Empty, and the port 0, where nobody knows what was asked for. */
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

/** What was refused before it could be read. */
export function refusalOfUnread(time: number, agent: string, { reason, detail }: Problem): Refusal {
  return { time, agent, host: '', port: 0, reason, detail, suggestion: 'clawctl egress blocked' };
}

/** Of all that `parseHost` lets through, only brackets mean something to a shell. */
export const shellQuoted = (place: string) => (place.startsWith('[') ? `'${place}'` : place);

/** What a person could type about this target. */
export function suggestionFor(host: Host, port: number, reason: Reason, agent: string): string {
  return (
    additionFor(host, port, reason, agent) ?? remedyFor(reason, agent) ?? explanationFor(host, port, agent)
  );
}

/** The command that explains what the rules say to this agent, whose name no shell changes; `-` is nobody's. */
export function explanationFor(host: Host, port: number, agent: string): string {
  const whose = isAgentName(agent) ? ` --agent ${agent}` : '';
  return `clawctl egress explain ${shellQuoted(authority(host, port))}${whose}`;
}

/** Where to look for what no rule decides: who has a token, and who uses up how much. Null for what rules do. */
function remedyFor(reason: Reason, agent: string): string | null {
  switch (reason) {
    case 'credentials-missing':
    case 'credentials-wrong':
    case 'agent-removed':
      return 'clawctl egress agents list';
    case 'limit-connections':
    case 'limit-bytes-up':
      return `clawctl egress stats ${isAgentName(agent) ? `--agent ${agent}` : '--by agent'}`;
    case 'limit-total':
    case 'limit-rate':
      return 'clawctl egress stats --by agent';
    default:
      return null;
  }
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
      // These need a rule that names the address as well (`addresses`), which no command writes.
      if (host.kind === 'address' ? classOf(host.address) !== 'public' : isLocalhost(host.name)) return null;
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
  const host = refusal.host.includes(':') ? `[${refusal.host}]` : refusal.host;
  const place = host === '' ? 'a request' : `${host}:${refusal.port}`;
  const what = isFailure(refusal.reason) ? 'not reached' : 'refused';
  return `${place} ${what} (${refusal.reason}): ${REASONS[refusal.reason]}. A person can type: ${refusal.suggestion}`;
}

/** Whether an Accept header (RFC 9110 section 12.5.1) asks for JSON. Without quality values: what it names first. */
export function wantsJson(accept: string | undefined): boolean {
  const text = (accept ?? '').toLowerCase();
  const json = text.search(/\bapplication\/(?:json|[a-z0-9.-]+\+json)/);
  const plain = text.search(/\btext\/|\*\/\*/);
  return json !== -1 && (plain === -1 || json < plain);
}

/** A whole HTTP/1.1 response. `head`: the request was HEAD. `close`: we close the connection after it. */
export function httpResponse(
  status: string,
  body: { json: boolean; text: string },
  head: boolean,
  extra = '',
  close = true,
): Uint8Array {
  const content = Buffer.from(body.text, 'utf8');
  const headers =
    `HTTP/1.1 ${status}\r\n` +
    `Content-Type: ${body.json ? 'application/json' : 'text/plain; charset=utf-8'}\r\n` +
    `Content-Length: ${content.length}\r\n${extra}Cache-Control: no-store\r\n` +
    `${close ? 'Connection: close\r\n' : ''}\r\n`;
  return Buffer.concat([Buffer.from(headers, 'latin1'), head ? new Uint8Array(0) : content]);
}

/** The gateway failed, it did not refuse: nobody to talk to, or nothing that makes sense (RFC 9110 section 15.6). */
const FAILURES: ReadonlySet<Reason> = new Set([
  'name-not-resolved',
  'connect-failed',
  'response-malformed',
  'response-late',
]);

export const isFailure = (reason: Reason): boolean => FAILURES.has(reason);

/** What is said in HTTP where something else than a rule is in the way. */
const STATUSES: Partial<Record<Reason, string>> = {
  'not-proxy': '400 Bad Request',
  'http-malformed': '400 Bad Request',
  'malformed-host': '400 Bad Request',
  'malformed-port': '400 Bad Request',
  'credentials-missing': '407 Proxy Authentication Required',
  'credentials-wrong': '407 Proxy Authentication Required',
  'head-late': '408 Request Timeout',
  'head-too-large': '431 Request Header Fields Too Large',
  'name-not-resolved': '502 Bad Gateway',
  'connect-failed': '502 Bad Gateway',
  'response-malformed': '502 Bad Gateway',
  'response-late': '504 Gateway Timeout',
  'audit-unavailable': '503 Service Unavailable',
  'limit-connections': '503 Service Unavailable',
  'limit-total': '503 Service Unavailable',
  'limit-rate': '503 Service Unavailable',
};

/** How a refusal is said in HTTP. */
export interface HttpManner {
  json: boolean;
  /** The request was HEAD. */
  head: boolean;
  /** We close the connection after it. */
  close: boolean;
}

export function httpRefusal(refusal: Refusal, { json, head, close }: HttpManner): Uint8Array {
  const text = json
    ? `${JSON.stringify(refusalDocument(refusal))}\n`
    : `Clawctl Egress: ${refusalLine(refusal)}\n`;
  return httpSaid(refusal.reason, text, { json, head, close });
}

/** The same where what was asked for cannot be said. `detail` never quotes the client. */
export function httpRefusalOfUnknown(reason: Reason, detail: string | null): Uint8Array {
  const more = detail === null ? '' : `: ${detail}`;
  const text = `Clawctl Egress: refused (${reason}): ${REASONS[reason]}${more}\n`;
  return httpSaid(reason, text, { json: false, head: false, close: true });
}

function httpSaid(reason: Reason, text: string, { json, head, close }: HttpManner): Uint8Array {
  const status = STATUSES[reason] ?? '403 Forbidden';
  const challenge = status.startsWith('407') ? 'Proxy-Authenticate: Basic realm="clawctl"\r\n' : '';
  const extra = `${challenge}X-Clawctl-Reason: ${reason}\r\n`;
  // Of an answer to CONNECT most clients show the phrase, and nothing else.
  const phrase = `${status} (Clawctl Egress, ${reason}: ${REASONS[reason]})`;
  return httpResponse(phrase, { json, text }, head, extra, close);
}

/** RFC 8446 section 6.2: a fatal access_denied alert in a plaintext record, as every TLS client understands it. */
export const ACCESS_DENIED = Uint8Array.of(21, 3, 3, 0, 2, 2, 49);
