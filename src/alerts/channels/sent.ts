/** How an attempt to deliver went. `detail` is for the record: printable, short, without secrets. */
export type Sent =
  | { state: 'delivered'; detail: string }
  /** Worth another try. `after`: milliseconds that the receiver asked for. `everybody`: nobody gets through there now. */
  | { state: 'later'; detail: string; after: number | null; everybody: boolean }
  /** The receiver will not have it, however often it is tried. */
  | { state: 'refused'; detail: string }
  /** Cannot be tried before a person has configured something. */
  | { state: 'unconfigured'; detail: string };

export const later = (detail: string, after: number | null = null, everybody = true): Sent => ({
  state: 'later',
  detail,
  after,
  everybody,
});
export const refused = (detail: string): Sent => ({ state: 'refused', detail });
export const unconfigured = (detail: string): Sent => ({ state: 'unconfigured', detail });
