/** Raw conversations from inside a fence: what a program sends octet by octet, and all that it hears. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FenceOptions, finish, type World } from './world.ts';

type Octets = Uint8Array | string;

/** One thing that the client does. Text is Latin-1. */
export type Step =
  | { send: Octets }
  /** Each octet in a segment of its own. */
  | { drip: Octets }
  /** Waits until this was heard. */
  | { hear: string }
  | { wait: number }
  /** No more from this side. */
  | { shut: true };

export interface Conversation {
  host: string;
  port: number;
  steps: Step[];
  /** Seconds without a word after which the client stops listening. Default 3. */
  patience?: number;
  /** Leaves as soon as it has heard this. */
  enough?: string;
  family?: 4 | 6;
}

export interface Heard {
  /** Latin-1. */
  text: string;
  /** How the other side ended it; `open` where it did not, `unreachable` where it never began. */
  end: 'closed' | 'reset' | 'open' | 'unreachable';
}

const CLIENT = `
import concurrent.futures, json, socket, sys, time
def run(plan):
  got = b""
  try:
    family = {None: 0, 4: socket.AF_INET, 6: socket.AF_INET6}[plan.get("family")]
    where = socket.getaddrinfo(plan["host"], plan["port"], family, socket.SOCK_STREAM)[0]
    s = socket.socket(where[0], socket.SOCK_STREAM); s.settimeout(plan.get("patience", 3))
    s.connect(where[4])
  except Exception as e:
    return {"text": str(e), "end": "unreachable"}
  s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
  enough = plan.get("enough", "").encode("latin-1")
  def listen(stop):
    nonlocal got
    while not (stop and stop in got):
      try: piece = s.recv(65536)
      except socket.timeout: return "open"
      except OSError: return "reset"
      if not piece: return "closed"
      got += piece
    return None
  end = None
  try:
    for step in plan["steps"]:
      if "send" in step: s.sendall(step["send"].encode("latin-1"))
      elif "drip" in step:
        for octet in step["drip"].encode("latin-1"): s.send(bytes([octet])); time.sleep(0.0003)
      elif "wait" in step: time.sleep(step["wait"] / 1000)
      elif "shut" in step: s.shutdown(socket.SHUT_WR)
      else:
        end = listen(step["hear"].encode("latin-1"))
        if end: break
  except OSError: pass
  end = end or listen(enough) or "open"
  s.close()
  return {"text": got.decode("latin-1"), "end": end}
plans = json.load(open(sys.argv[1]))
with concurrent.futures.ThreadPoolExecutor(int(sys.argv[2])) as pool: print(json.dumps(list(pool.map(run, plans))))
`;

const text = (octets: Octets) =>
  typeof octets === 'string' ? octets : Buffer.from(octets).toString('latin1');

let files = 0;

/** The command that holds these conversations, `parallel` at a time, and prints what it heard as JSON. */
export function talking(world: World, conversations: readonly Conversation[], parallel = 16): string[] {
  const plans = conversations.map((conversation) => ({
    ...conversation,
    steps: conversation.steps.map((step) => {
      if ('send' in step) return { send: text(step.send) };
      return 'drip' in step ? { drip: text(step.drip) } : step;
    }),
  }));
  const file = join(world.workspace, `plan-${files++}.json`);
  writeFileSync(file, JSON.stringify(plans));
  return ['python3', '-c', CLIENT, file, String(parallel)];
}

/** Holds them in one fence, and gives back what each heard, in order. */
export async function converse(
  world: World,
  policy: string,
  conversations: readonly Conversation[],
  options: FenceOptions & { parallel?: number } = {},
): Promise<Heard[]> {
  const command = talking(world, conversations, options.parallel);
  const done = await finish(world.start(policy, command, options));
  if (done.code !== 0) throw new Error(`the client ended with ${done.code}: ${done.stderr}`);
  return JSON.parse(done.stdout) as Heard[];
}

export interface BlockedItem {
  host: string;
  port: number;
  agent: string;
  reason: string;
  count: number;
}

/** What `blocked --json` says about one agent. */
export async function blockedOf(world: World, agent: string): Promise<BlockedItem[]> {
  const done = await world.clawctl(['blocked', '--last', '24h', '--agent', agent, '--json']);
  return (JSON.parse(done.stdout) as { items: BlockedItem[] }).items;
}
