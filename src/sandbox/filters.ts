/**
 * The filters of system calls of every fence, as octets. Like the firewall's rules (rules.ts) they are always the same on
 * one architecture, and a build makes them once, for the one that it runs on.
 */
import { filterProgram, type Stage } from '../os/seccomp.ts';
import { type ByteText, bytesToText } from './handshake.ts';

type Filters = Record<Stage, ByteText>;

declare const BUILT_FILTERS: Filters | undefined;

export function fenceFilter(stage: Stage): ByteText {
  return typeof BUILT_FILTERS === 'undefined' ? makeFilter(stage) : BUILT_FILTERS[stage];
}

const makeFilter = (stage: Stage) => bytesToText(filterProgram(stage));

/** For the build. */
export function allFilters(): Filters {
  return { setup: makeFilter('setup'), command: makeFilter('command') };
}
