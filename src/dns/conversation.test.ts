import { expect, test } from 'bun:test';
import type { Socket } from '../net/socket.ts';
import { Conversation } from './conversation.ts';

/** A socket that takes `room` octets before it asks to wait, and an echo in place of the stub. */
function setup(room: number) {
  const acts: string[] = [];
  const answered: number[] = [];
  const socket = {
    open: true,
    write(bytes: Uint8Array) {
      answered.push(bytes[2]!);
      room -= bytes.length;
      return room > 0;
    },
    pause: () => acts.push('pause'),
    resume: () => acts.push('resume'),
    end: () => acts.push('end'),
    reset() {
      socket.open = false;
      acts.push('reset');
    },
  };
  const stub = { answer: (message: Uint8Array) => (message[0] === 0 ? null : message) };
  const conversation = new Conversation(stub, socket as unknown as Socket, 60_000, () => acts.push('closed'));
  return {
    acts,
    answered,
    say: (...bytes: number[]) => conversation.onData(socket as unknown as Socket, Uint8Array.from(bytes)),
    drain(more: number) {
      room = more;
      conversation.onDrain(socket as unknown as Socket);
    },
    finish: () => conversation.onEnd(socket as unknown as Socket),
    close: () => conversation.onClose(),
  };
}

test('who asks without listening is not read any more until it listens', () => {
  const { acts, answered, say, drain, close } = setup(5);
  say(0, 1, 1, 0, 1, 2, 0, 1, 3, 0, 1, 4, 0);
  expect([answered, acts]).toEqual([[1, 2], ['pause']]);
  drain(3);
  expect([answered, acts]).toEqual([
    [1, 2, 3],
    ['pause', 'pause'],
  ]);
  drain(100);
  expect([answered, acts]).toEqual([
    [1, 2, 3, 4],
    ['pause', 'pause', 'resume'],
  ]);
  say(1, 5);
  expect(answered).toEqual([1, 2, 3, 4, 5]);
  close();
  expect(acts.at(-1)).toBe('closed');
});

test('who has finished asking gets what is left, then the end', () => {
  const { acts, answered, say, drain, finish, close } = setup(2);
  say(0, 1, 1, 0, 1, 2);
  finish();
  expect(acts).toEqual(['pause']);
  drain(100);
  expect([answered, acts.includes('end')]).toEqual([[1, 2], true]);
  close();
});

test('nothing is answered after a message that may not be', () => {
  const { acts, answered, say, close } = setup(100);
  say(0, 1, 1, 0, 1, 0, 0, 1, 2);
  expect([answered, acts]).toEqual([[1], ['reset']]);
  close();
});

test('a length that no question has ends the conversation before its bytes come', () => {
  const { acts, answered, say, close } = setup(100);
  say(0xff, 0xff, 1);
  expect([answered, acts]).toEqual([[], ['reset']]);
  close();
});
