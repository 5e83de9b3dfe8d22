import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { Ongoing } from './ongoing.ts';

const row = (kind: string, connection: number, up: number, down: number) => ({
  ...{ kind, session: 's', connection, bytesUp: up, bytesDown: down },
});

test('whatever was told of connections while they went on, each octet is counted once', () => {
  const steps = fc.array(fc.tuple(fc.nat(3), fc.nat(1_000), fc.nat(1_000), fc.boolean()), { maxLength: 60 });
  fc.assert(
    fc.property(steps, (told) => {
      const ongoing = new Ongoing();
      const passed = Array.from({ length: 4 }, () => ({ up: 0, down: 0, kept: true }));
      let [up, down] = [0, 0];
      const see = (kind: string, connection: number) => {
        const seen = row(kind, connection, passed[connection]!.up, passed[connection]!.down);
        ongoing.settle(seen);
        up += seen.bytesUp;
        down += seen.bytesDown;
      };
      for (const [connection, more, back, isOver] of told) {
        const one = passed[connection]!;
        if (!one.kept) continue;
        one.up += more;
        one.down += back;
        one.kept = !isOver;
        see(isOver ? 'close' : 'progress', connection);
      }
      for (const [connection, { kept }] of passed.entries()) if (kept) see('close', connection);
      expect(up).toBe(passed.reduce((sum, one) => sum + one.up, 0));
      expect(down).toBe(passed.reduce((sum, one) => sum + one.down, 0));
    }),
  );
});

test('what is no connection, and one that was told of but once, is left as it is', () => {
  const ongoing = new Ongoing();
  ongoing.settle(row('progress', 1, 5, 5));
  for (const [kind, connection] of [
    ['decision', 1],
    ['close', 2],
  ] as const) {
    const seen = row(kind, connection, 7, 7);
    ongoing.settle(seen);
    expect(seen).toEqual(row(kind, connection, 7, 7));
  }
});
