/** Who hears of a refusal besides the store: the agent, at `clawctl.internal`, and the person before the gateway. */
import type { Target } from '../policy/decision.ts';
import type { Problem } from './gates.ts';
import { type Refusal, refusalOf, refusalOfUnread } from './refusal.ts';
import type { Session } from './session.ts';
import type { Surroundings } from './surroundings.ts';

/** A target that is null could not be read. `isTold`: false where the store alone has it, as of what never was decided. */
export function tellRefusal(
  around: Surroundings,
  { session, target }: { session: Session; target: Target | null },
  problem: Problem,
  isTold = true,
): Refusal {
  const now = around.clock.now();
  if (target === null) return refusalOfUnread(now, session.agent, problem);
  const refusal = refusalOf(now, target, problem);
  if (!isTold) return refusal;
  session.remember(refusal);
  around.onRefusal(refusal);
  return refusal;
}
