/**
 * `check --batch`: a stream of JSON lines in, one decision a line out, in order, whatever is on a line. What
 * cannot be read is denied. Memory does not grow with the input, nor with a line.
 */
import { hostText, parseHost } from '../names/host.ts';
import { answerFor } from '../policy/answer.ts';
import type { Policy } from '../policy/policy.ts';
import type { Reason } from '../policy/reason.ts';
import { answerItem, type situation } from './answers.ts';
import { imitated } from './imitation.ts';
import { jsonText } from './output.ts';
import { DEFAULT_PORT } from './target.ts';

const SCHEMA = 'clawctl.egress.check/v1';
/** No question about a host is longer; the rest of a longer line is skipped. */
const LONGEST_LINE = 65_536;
const LONGEST_ECHO = 300;

export interface Batch {
  policy: Policy;
  at: (agent: string) => ReturnType<typeof situation>;
  agent: string;
  /** Takes whole lines without the last line end. */
  print: (lines: string) => void;
}

/** Answers every line of the stream. The last one needs no line end. */
export async function answerLines(input: AsyncIterable<Uint8Array>, batch: Batch): Promise<void> {
  const lookalike = imitated(batch.policy);
  const decoder = new TextDecoder();
  let begun: Uint8Array[] = [];
  let length = 0;
  const finish = () => {
    const line = length > LONGEST_LINE ? null : decoder.decode(Buffer.concat(begun));
    begun = [];
    length = 0;
    return jsonText({ schema: SCHEMA, ...answer(line, batch, lookalike) });
  };
  for await (const chunk of input) {
    const answers: string[] = [];
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      keep(chunk.subarray(start, end));
      answers.push(finish());
      start = end + 1;
    }
    keep(chunk.subarray(start));
    if (answers.length > 0) batch.print(answers.join('\n'));
  }
  if (length > 0) batch.print(finish());

  function keep(piece: Uint8Array): void {
    length += piece.length;
    if (length <= LONGEST_LINE) begun.push(piece.slice());
    else begun = [];
  }
}

/** `line` is null where it was too long to be read. */
function answer(
  line: string | null,
  { policy, at, agent }: Batch,
  lookalike: ReturnType<typeof imitated>,
): object {
  const asked = fieldsOf(line);
  const port = asked.port ?? DEFAULT_PORT;
  const echo = {
    host: typeof asked.host === 'string' ? asked.host.slice(0, LONGEST_ECHO) : null,
    port: typeof port === 'number' && Number.isFinite(port) ? port : null,
    agent: typeof asked.agent === 'string' ? asked.agent.slice(0, LONGEST_ECHO) : agent,
  };
  const host = typeof asked.host === 'string' ? parseHost(asked.host) : null;
  if (host === null) return { ...denied('malformed-host'), ...echo };
  const shown = { ...echo, host: hostText(host) };
  if (typeof port !== 'number' || !Number.isInteger(port) || port < 1 || port > 65535)
    return { ...denied('malformed-port'), ...shown };
  if (asked.agent !== undefined && typeof asked.agent !== 'string') return { ...denied('agent'), ...shown };
  const target = { host, port, agent: asked.agent ?? agent };
  const decision = answerFor(policy, target, at(target.agent));
  return answerItem(target, decision, lookalike(target, decision));
}

const denied = (reason: Reason) => ({
  ...{ verdict: 'deny', reason, rule: null, would_deny: false, lookalike_of: null },
});

function fieldsOf(line: string | null): { host?: unknown; port?: unknown; agent?: unknown } {
  try {
    const value: unknown = line === null ? null : JSON.parse(line);
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}
