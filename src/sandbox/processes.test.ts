import { expect, test } from 'bun:test';
import { isAbandoned } from './processes.ts';

test('a pid namespace is abandoned when its first process has none below it, or is gone', async () => {
  const first = Bun.spawn(
    ['sh', '-c', 'read go; sleep 60 & echo begun; read go; kill $!; wait $!; echo over; read go'],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  );
  const said = first.stdout.getReader();
  const next = (): Promise<unknown> => {
    first.stdin.write('\n');
    first.stdin.flush();
    return said.read();
  };
  try {
    expect(isAbandoned(first.pid)).toBe(true);
    await next();
    expect(isAbandoned(first.pid)).toBe(false);
    await next();
    expect(isAbandoned(first.pid)).toBe(true);
  } finally {
    first.kill('SIGKILL');
    await first.exited;
  }
  expect(isAbandoned(first.pid)).toBe(true);
});
