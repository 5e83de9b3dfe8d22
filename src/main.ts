/**
 * Where the program starts. First of all comes the process inside the fence, which loads no library: its
 * start is part of the start of every fenced command. Then a worker of a service. Then `run`, which starts to
 * build the fence before any library loads. Then everything else.
 */
import { compileFromNowOn } from './base/compiler.ts';
import { hasObeyed, putAside } from './cli/environment.ts';
import { readRunArguments } from './cli/runarguments.ts';

async function main(words: readonly string[]): Promise<number> {
  if (words[0] === 'egress' && words[1] === 'run') {
    const request = readRunArguments(words.slice(2));
    if (request !== null) return (await import('./cli/run.ts')).run(request);
  }
  compileFromNowOn();
  return (await import('./cli/program.ts')).runProgram(words);
}

const isBinary = import.meta.url.startsWith('file:///$bunfs/');
const words = process.argv.slice(2);
if (words[0] === '__inner') {
  const { inner } = await import('./sandbox/inner.ts');
  inner();
} else if (words[0] === '__worker') {
  await (await import('./compose/worker.ts')).work();
} else if (hasObeyed(process.env, !isBinary)) {
  const script = isBinary ? [] : [...process.execArgv, process.argv[1]!];
  process.execve!(process.execPath, [process.execPath, ...script, ...words], putAside(process.env));
} else {
  process.exit(await main(words));
}
