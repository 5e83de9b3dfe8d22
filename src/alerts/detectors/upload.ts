/**
 * More sent than is usual: an agent's payload in the last hour against what it sends in an hour otherwise. What it
 * sends is known when connections close, and of large ones while they last.
 */

import { BoundedMap } from '../counting/bounded.ts';
import type { Detector, DetectorContext } from './detector.ts';

const HOUR = 3_600_000;
const SLICES = 12;
const SLICE = HOUR / SLICES;
const MOST_AGENTS = 10_000;

/** Below this nothing is unusual. */
const LEAST = 50_000_000;
const TIMES_USUAL = 5;
/** How much one hour says about what is usual. */
const WEIGHT = 0.1;

interface Sent {
  /** Octets in each slice of the last hour, by its number modulo SLICES. */
  slices: number[];
  /** Number of the latest slice since the epoch. */
  slice: number;
}

export function createUploads({ memory }: DetectorContext): Detector {
  const agents = new BoundedMap<Sent>(MOST_AGENTS);

  /** The mean of hours in which anything was sent, weighted to the later ones. */
  const usualAfter = (agent: string, sent: Sent, slice: number): number => {
    const hour = Math.floor(slice / SLICES);
    const learnt = memory.get(`unusual_upload ${agent} hour`);
    const usual = memory.get(`unusual_upload ${agent} usual`);
    if (learnt === null) memory.set(`unusual_upload ${agent} hour`, hour);
    if (learnt === null || hour <= learnt) return usual ?? 0;
    const last = sumOf(sent);
    const next = usual === null ? last : usual + WEIGHT * (last - usual);
    memory.set(`unusual_upload ${agent} hour`, hour);
    if (last > 0) memory.set(`unusual_upload ${agent} usual`, Math.round(next));
    return last > 0 ? next : (usual ?? 0);
  };

  return {
    see(row) {
      if ((row.kind !== 'close' && row.kind !== 'progress') || row.bytesUp === 0) return null;
      const { agent, host } = row;
      const slice = Math.floor(row.time / SLICE);
      const sent = agents.get(agent) ?? { slices: new Array<number>(SLICES).fill(0), slice };
      agents.set(agent, sent);
      const usual = usualAfter(agent, sent, slice);
      for (let passed = sent.slice + 1; passed <= Math.min(slice, sent.slice + SLICES); passed++)
        sent.slices[passed % SLICES] = 0;
      sent.slice = Math.max(sent.slice, slice);
      sent.slices[sent.slice % SLICES]! += row.bytesUp;
      const value = sumOf(sent);
      const threshold = Math.max(LEAST, Math.round(TIMES_USUAL * usual));
      if (value <= threshold) return null;
      const text = `${agent} sent ${megabytes(value)} within an hour, ${megabytes(row.bytesUp)} of it to ${host}; ${usualText(usual)}`;
      return { agent, host: null, text, value, threshold };
    },
  };
}

const sumOf = ({ slices }: Sent) => slices.reduce((sum, octets) => sum + octets, 0);
const megabytes = (octets: number) => `${Math.max(1, Math.round(octets / 1e6))} MB`;
const usualText = (usual: number) =>
  usual === 0 ? 'it has hardly sent anything before' : `${megabytes(usual)} is usual for it`;
