/** What the life of an alert keeps of each of its groups. */
import type { Leaf } from '../counting/condition.ts';
import type { Tally } from '../counting/series.ts';
import type { Incident } from '../incident.ts';

/** One group of one alert that has an incident, or whose silence may become one. */
export interface Held {
  key: string;
  parts: readonly string[];
  incident: Incident | null;
  /** Since when its condition has held without a doubt. */
  since: number | null;
  inFlood: boolean;
  /** When to look again though nothing happens. */
  due: number;
  /** The part of the condition whose numbers are told, and what it had counted before its window began. */
  primary: Leaf;
  base: number;
  pinned: Tally[];
}
