/**
 * Small changes to the text of a YAML file: items of lists come and go, every other character stays, comments
 * and order included. The places are found by parsing; the text is cut and joined, never written anew.
 */
import {
  isMap,
  isPair,
  isScalar,
  isSeq,
  type Node,
  type Pair,
  parseDocument,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml';

/** An item in both notations. `block` lines are without indentation and without the dash. */
export interface Item {
  block: readonly string[];
  flow: string;
}

/**
 * Adds items at the end of the list under this path of keys, such as `['agents', 'bot', 'allow']`; what is
 * missing on the way is added. `text` is a valid policy.
 */
export function addItems(text: string, path: readonly string[], items: readonly Item[]): string {
  let node = rootOf(text);
  for (const [depth, key] of path.entries()) {
    if (!isMap(node)) return text;
    const next = pairOf(node, key)?.value as Node | null | undefined;
    if (next === null || next === undefined) return addPair(text, node, path.slice(depth), items);
    node = next;
  }
  if (!isSeq(node)) return text;
  if (node.flow) return addToFlow(text, node, items.map((item) => item.flow).join(', '));
  const indent = ' '.repeat(columnOf(text, node.range![0]));
  return insertLines(text, endOf(node), blockItems(items, indent));
}

/** Takes the item that begins at `offset` out of the list under this path. */
export function removeItem(text: string, path: readonly string[], offset: number): string {
  const found = listAt(text, path);
  const index = found === null ? -1 : found.list.items.findIndex((item) => startOf(item) === offset);
  if (found === null || index < 0) return text;
  const { list, key } = found;
  if (list.flow) return removeFromFlow(text, list, index);
  const from = lineStart(text, dashOf(text, list, index));
  const removed = text.slice(0, from) + text.slice(lineEnd(text, endOf(list.items[index] as Node)));
  if (list.items.length > 1) return removed;
  // An empty list has to be written out, or the key would have no value.
  const colon = text.indexOf(':', key.range![1]) + 1;
  return `${removed.slice(0, colon)} []${removed.slice(colon)}`;
}

/** Writes another item in the place of the one that begins at `offset`. */
export function replaceItem(text: string, path: readonly string[], offset: number, item: Item): string {
  const list = listAt(text, path)?.list;
  const old = list?.items.find((item) => startOf(item) === offset) as Node | undefined;
  if (list === undefined || old === undefined) return text;
  const indent = ' '.repeat(columnOf(text, offset));
  const written = list.flow ? item.flow : item.block.join(`${lineBreak(text)}${indent}`);
  return text.slice(0, offset) + written + text.slice(endOf(old));
}

function rootOf(text: string): Node | null {
  return parseDocument(text, { schema: 'failsafe', uniqueKeys: false, prettyErrors: false }).contents;
}

function listAt(text: string, path: readonly string[]): { list: YAMLSeq; key: Node } | null {
  let node: unknown = rootOf(text);
  let key: Node | null = null;
  for (const name of path) {
    const pair: Pair | undefined = isMap(node) ? pairOf(node, name) : undefined;
    if (pair === undefined) return null;
    key = pair.key as Node;
    node = pair.value;
  }
  return key !== null && isSeq(node) ? { list: node, key } : null;
}

function pairOf(map: YAMLMap, name: string): Pair | undefined {
  return map.items.find((pair) => isScalar(pair.key) && pair.key.value === name);
}

function addPair(text: string, map: YAMLMap, path: readonly string[], items: readonly Item[]): string {
  const flow = path.reduceRight(
    (value, key, depth) => (depth === 0 ? `${key}: ${value}` : `{ ${key}: ${value} }`),
    `[${items.map((item) => item.flow).join(', ')}]`,
  );
  if (map.flow) return addToFlow(text, map, map.items.length === 0 ? ` ${flow} ` : flow);
  const column = columnOf(text, map.range![0]);
  const lines = path.map((key, depth) => `${' '.repeat(column + 2 * depth)}${key}:`);
  lines.push(...blockItems(items, ' '.repeat(column + 2 * path.length)));
  return insertLines(text, endOf(map), column === 0 ? ['', ...lines] : lines);
}

function blockItems(items: readonly Item[], indent: string): string[] {
  return items.flatMap(({ block }) => block.map((line, i) => `${indent}${i === 0 ? '- ' : '  '}${line}`));
}

function addToFlow(text: string, node: YAMLSeq | YAMLMap, added: string): string {
  const last = node.items.at(-1);
  const at = last === undefined ? node.range![0] + 1 : endOf(last as Node | Pair);
  return `${text.slice(0, at)}${last === undefined ? added : `, ${added}`}${text.slice(at)}`;
}

function removeFromFlow(text: string, list: YAMLSeq, index: number): string {
  const items = list.items as Node[];
  const item = items[index]!;
  const next = items[index + 1];
  const before = items[index - 1];
  if (next !== undefined) return text.slice(0, startOf(item)!) + text.slice(startOf(next)!);
  return text.slice(0, before === undefined ? startOf(item)! : endOf(before)) + text.slice(endOf(item));
}

/** Inserts whole lines below the line on which `offset`, the end of something, lies. */
function insertLines(text: string, offset: number, lines: readonly string[]): string {
  const at = lineEnd(text, offset);
  const newline = lineBreak(text);
  const missing = at > 0 && text[at - 1] !== '\n' ? newline : '';
  return `${text.slice(0, at)}${missing}${lines.map((line) => line + newline).join('')}${text.slice(at)}`;
}

/** Where the dash of a block list's item is. */
function dashOf(text: string, list: YAMLSeq, index: number): number {
  if (index === 0) return list.range![0];
  const column = columnOf(text, list.range![0]);
  let line = lineStart(text, startOf(list.items[index])!);
  // All dashes of a list stand in one column; what an item holds, and comments, cannot begin with a dash there.
  while (line > 0 && (text[line + column] !== '-' || text.slice(line, line + column).trim() !== ''))
    line = lineStart(text, line - 1);
  return line + column;
}

function startOf(node: unknown): number | undefined {
  return (node as Node | null)?.range?.[0];
}

/** The end of what a node shows, without comments and line breaks behind it. */
function endOf(node: Node | Pair): number {
  if (isPair(node)) {
    const { key, value } = node as Pair<Node, Node | null>;
    return value === null ? endOf(key) : endOf(value);
  }
  const last = isMap(node) || isSeq(node) ? (node.items.at(-1) as Node | Pair | undefined) : undefined;
  const isFlow = (isMap(node) || isSeq(node)) && node.flow === true;
  return last === undefined || isFlow ? node.range![1] : endOf(last);
}

function columnOf(text: string, offset: number): number {
  return offset - lineStart(text, offset);
}

function lineStart(text: string, offset: number): number {
  return offset === 0 ? 0 : text.lastIndexOf('\n', offset - 1) + 1;
}

/** Behind the line break of the line that ends at or contains `offset`. */
function lineEnd(text: string, offset: number): number {
  if (offset > 0 && text[offset - 1] === '\n') return offset;
  const newline = text.indexOf('\n', offset);
  return newline < 0 ? text.length : newline + 1;
}

function lineBreak(text: string): string {
  return text.includes('\r\n') ? '\r\n' : '\n';
}
