/** `clawctl egress status`: how a running service is, as its probes see it. */
import { EXIT, Failure } from '../base/failure.ts';
import { pathsOf } from '../base/paths.ts';
import type { Condition } from '../service/condition.ts';
import { ServiceFolder, serviceName } from '../service/folder.ts';
import { green, number, print, printJson, printTable, red, say } from './output.ts';

const PATIENCE = 3_000;

/** Resolves to the exit code: 0 where it is ready, 1 where it is not. */
export async function status(options: { name: string; json?: boolean }): Promise<number> {
  const { name } = options;
  const condition = await ask(new ServiceFolder(pathsOf(), serviceName(name)), name);
  const { schema: _, ...fields } = condition;
  if (options.json === true) printJson('status', fields);
  else {
    print(condition.ready ? green('✓ ready') : red(`✗ ${condition.state}`));
    printTable(
      ['worker', 'process', 'serving', 'connections', 'restarts'],
      condition.workers.map(({ index, pid, serving, connections, restarts }) => [
        String(index),
        pid === null ? '' : String(pid),
        serving ? 'yes' : 'no',
        number(connections),
        number(restarts),
      ]),
    );
    for (const place of condition.listeners) print(place);
  }
  for (const problem of condition.problems) say(problem);
  for (const kill of condition.killed) say(`the kill switch is on: ${kill}`);
  return condition.ready ? EXIT.done : EXIT.failed;
}

async function ask(folder: ServiceFolder, name: string): Promise<Condition> {
  try {
    const unix = folder.door('admin');
    const headers = { connection: 'close' };
    const signal = AbortSignal.timeout(PATIENCE);
    return (await (await fetch('http://admin/readyz', { unix, headers, signal })).json()) as Condition;
  } catch {
    const named = name === 'default' ? '' : ` --name ${name}`;
    throw new Failure(
      'no-gateway',
      `No service '${name}' answers in ${folder.described}.`,
      `Look where it runs, as its user and with its variables; or start one: clawctl egress serve${named}`,
    );
  }
}
