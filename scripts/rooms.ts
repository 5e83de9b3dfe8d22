/**
 * The rooms of the program and who may import whom: only downwards, so that every file can be read knowing
 * nothing of what lies above it. Pure rooms touch no clock, file, socket or process, so they can be fuzzed.
 * Run: `sh scripts/bun scripts/rooms.ts`; prints every breach and exits 1.
 */

import { dirname, join, normalize } from 'node:path';
import { Glob } from 'bun';

const LEVELS: ReadonlyArray<readonly string[]> = [
  ['base'],
  ['names', 'os'],
  ['wire', 'net', 'policy'],
  ['resolve', 'events', 'config'],
  ['dns', 'alerts'],
  ['gateway'],
  ['sandbox', 'service'],
  ['compose'],
  ['cli'],
  ['main.ts'],
];
const PURE = new Set(['names', 'wire', 'policy']);
const LIBRARIES_OF_PURE = new Set(['yaml', 'tldts', 'fastest-levenshtein']);
const IMPURE_GLOBALS =
  /\b(Date\.now|new Date\(\)|performance\.now|Math\.random|process\.|Bun\.|fetch\(|setTimeout|setInterval)/;
const STATIC_IMPORT = /^(?:import|export)\s(?:[^;'"=()]*\sfrom\s+)?'([^']+)'/gm;
const scanner = new Bun.Transpiler({ loader: 'ts' });
const LONGEST_FILE = 400;

const levelOf = new Map(LEVELS.flatMap((rooms, level) => rooms.map((room) => [room, level] as const)));
const roomOf = (file: string) => file.split('/')[1]!;
const breaches: string[] = [];
const imports = new Map<string, string[]>();

for (const file of [...new Glob('src/**/*.ts').scanSync('.')].sort()) {
  const text = await Bun.file(file).text();
  const isTest = /\.(test|fixture)\.ts$/.test(file);
  const room = roomOf(file);
  const level = levelOf.get(room);
  if (level === undefined) breaches.push(`${file}: '${room}' is not in the room table`);
  const lines = text.split('\n').length;
  if (lines > LONGEST_FILE) breaches.push(`${file}: ${lines} lines; the ceiling is ${LONGEST_FILE}`);
  if (isTest) continue;
  const targets: string[] = [];
  // What runs, as the transpiler sees it; types count for the direction, but make no cycle.
  const running = scanner.scanImports(text).map((found) => found.path);
  const typed = [...text.matchAll(STATIC_IMPORT)].map((found) => found[1]!);
  for (const path of new Set([...running, ...typed])) {
    if (!path.startsWith('.')) {
      if (PURE.has(room) && !LIBRARIES_OF_PURE.has(path))
        breaches.push(`${file}: a pure room imports ${path}`);
      if (path === 'bun:ffi' && room !== 'os') breaches.push(`${file}: only os/ uses bun:ffi`);
      continue;
    }
    const target = normalize(join(dirname(file), path));
    if (target === 'package.json') continue;
    if (running.includes(path)) targets.push(target);
    const above = levelOf.get(roomOf(target)) ?? Number.POSITIVE_INFINITY;
    if (roomOf(target) !== room && above >= level!)
      breaches.push(`${file}: ${room} may not import ${roomOf(target)} (only downwards)`);
  }
  imports.set(file, targets);
  if (PURE.has(room)) {
    const code = text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
    const found = code.match(IMPURE_GLOBALS);
    if (found) breaches.push(`${file}: a pure room uses ${found[0]}`);
  }
  if (room !== 'net' && /\bBun\.(listen|connect|udpSocket)\b/.test(text))
    breaches.push(`${file}: only net/ uses Bun's sockets`);
}

const visiting: string[] = [];
const done = new Set<string>();
function visit(file: string): void {
  if (visiting.includes(file)) {
    breaches.push(`import cycle: ${[...visiting.slice(visiting.indexOf(file)), file].join(' -> ')}`);
    return;
  }
  if (done.has(file)) return;
  visiting.push(file);
  for (const target of imports.get(file) ?? []) visit(target);
  visiting.pop();
  done.add(file);
}
for (const file of imports.keys()) visit(file);

for (const breach of breaches) console.error(breach);
if (breaches.length > 0) process.exit(1);
console.log(`rooms: ${imports.size} files, every import runs downwards`);
