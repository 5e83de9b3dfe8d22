/** What programs get is what the published schema says. */
import { expect, test } from 'bun:test';
import { resolve } from 'node:path';
import { alertDocument } from './document.ts';
import { AT, notificationOf } from './incident.fixture.ts';
import { messageOf } from './message.ts';

interface Schema {
  type?: string | string[];
  const?: unknown;
  enum?: unknown[];
  required?: string[];
  properties?: Record<string, Schema>;
  items?: Schema;
}

const schema: Schema = await Bun.file(resolve(import.meta.dir, '../../../docs/schemas/alert-v1.json')).json();

/** As much of JSON Schema as that schema uses, and stricter: nothing may be there that it does not name. */
function problems(
  value: unknown,
  { type, const: constant, enum: words, ...rest }: Schema,
  at = '',
): string[] {
  const kind = value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;
  const kinds = Number.isInteger(value) ? [kind, 'integer'] : [kind];
  if (type !== undefined && ![type].flat().some((each) => kinds.includes(each))) return [`${at}: a ${kind}`];
  if (constant !== undefined && value !== constant) return [`${at}: not ${constant}`];
  if (words !== undefined && !words.includes(value)) return [`${at}: ${value}`];
  if (Array.isArray(value))
    return value.flatMap((item, index) => problems(item, rest.items ?? {}, `${at}[${index}]`));
  if (kind !== 'object' || rest.properties === undefined) return [];
  const fields = value as Record<string, unknown>;
  return [
    ...(rest.required ?? [])
      .filter((name) => !Object.hasOwn(fields, name))
      .map((name) => `${at}.${name} is missing`),
    ...Object.entries(fields).flatMap(([name, each]) =>
      rest.properties![name] === undefined
        ? [`${at}.${name} is unknown`]
        : problems(each, rest.properties![name], `${at}.${name}`),
    ),
  ];
}

test.each([
  notificationOf(),
  notificationOf({
    group: { agent: 'a', host: 'b.test' },
    groups: 7,
    finding: 'x',
    value: null,
    threshold: null,
  }),
  notificationOf({ acknowledged: { time: AT, by: 'me' } }, 'acknowledged'),
  notificationOf(
    { state: 'resolved', resolvedAt: AT, hosts: [], agents: [], decidingRule: 'egress.yaml:3' },
    'resolved',
  ),
])('a message is as the schema says: %#', (notification) => {
  const document = JSON.parse(JSON.stringify(alertDocument(notification, messageOf(notification))));
  expect(problems(document, schema)).toEqual([]);
  expect(problems({ ...document, more: 1, type: 'x' }, schema)).toHaveLength(2);
});
