import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { denied, refusal } from '../../events/event.fixture.ts';
import { alert, openMachine, START } from './engine.fixture.ts';

const WINDOW = 30;
const MOST = 5;
const AGENTS = ['a', 'b'];

interface Step {
  wait: number;
  agent: string;
  count: number;
  kind: 'decision' | 'refusal';
  /** What becomes of the engine: it goes on, is replaced, or is away while time passes and then replaced. */
  engine: 'on' | 'replaced' | 'away';
}

const step: fc.Arbitrary<Step> = fc.record({
  wait: fc.oneof(fc.integer({ min: 0, max: 2_000 }), fc.integer({ min: 0, max: 40_000 })),
  agent: fc.constantFrom(...AGENTS),
  count: fc.integer({ min: 1, max: 5 }),
  kind: fc.constantFrom('decision', 'refusal'),
  engine: fc.oneof({ weight: 6, arbitrary: fc.constant('on' as const) }, fc.constantFrom('replaced', 'away')),
});

/** What must be told, second by second, from all that ever happened. */
function expected(
  events: readonly { second: number; agent: string; count: number }[],
  end: number,
): string[] {
  const told: string[] = [];
  const isFiring = new Map<string, boolean>();
  for (let second = Math.floor(START / 1_000); second <= end; second++) {
    for (const withThis of [false, true]) {
      for (const agent of AGENTS) {
        const sum = events
          .filter((event) => event.agent === agent && event.second > second - WINDOW)
          .filter((event) => event.second < second || (withThis && event.second === second))
          .reduce((total, { count }) => total + count, 0);
        if (sum > MOST === (isFiring.get(agent) ?? false)) continue;
        isFiring.set(agent, sum > MOST);
        told.push(`${sum > MOST ? 'firing' : 'resolved'} ${agent}`);
      }
    }
  }
  return told.sort();
}

test('what is told is what a naive count says, through restarts and outages', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const rules = AGENTS.map((agent) =>
        alert(`blocked_requests > ${MOST} in ${WINDOW} seconds where agent = ${agent}`, { name: agent }),
      );
      const machine = openMachine(rules);
      machine.pass(1_000);
      let { engine } = machine;
      const events: { second: number; agent: string; count: number }[] = [];
      for (const { wait, agent, count, kind, engine: becomes } of steps) {
        if (becomes !== 'on') engine.close();
        if (becomes === 'away') machine.clock.time += wait;
        const { time } = machine.clock;
        if (kind === 'decision') machine.record(denied({ time, agent, count }));
        else for (let n = 0; n < count; n++) machine.record(refusal({ time, agent }));
        events.push({ second: Math.floor(time / 1_000), agent, count });
        if (becomes !== 'on') engine = machine.another();
        if (becomes !== 'away') machine.pass(wait, engine);
      }
      machine.pass((WINDOW + 2) * 1_000, engine);
      const messages = machine.db
        .query(
          "SELECT json_extract(body, '$.transition') || ' ' || json_extract(body, '$.incident.rule') AS text FROM delivery",
        )
        .values()
        .flat() as string[];
      expect(messages.sort()).toEqual(expected(events, Math.floor(machine.clock.time / 1_000)));
      engine.close();
    }),
    { numRuns: 40 },
  );
}, 120_000);
