/** How a failure reaches the person: what happened and where, then what to do about it. */
import { type Failure, RUN_EXIT } from '../base/failure.ts';
import { printableLines, say, sayRaw } from './output.ts';

/** Returns the exit code. Every failure of `run` before the command has started is ours, whatever it is. */
export function report(failure: Failure, isRun: boolean): number {
  say(printableLines(failure.message));
  if (failure.fix !== undefined) sayRaw(`  ${printableLines(failure.fix)}\n`);
  const { ours, notExecutable, notFound } = RUN_EXIT;
  return !isRun || [ours, notExecutable, notFound].some((code) => code === failure.exit)
    ? failure.exit
    : ours;
}
