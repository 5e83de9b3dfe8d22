/**
 * What every parser of bytes answers. It is a pure function of the bytes so far, never throws, and gives
 * the same final answer however those bytes were split on their way here.
 */
export type Parsed<T> =
  | { state: 'more' }
  /** `end`: how many bytes from the start of the input the value took. */
  | { state: 'value'; value: T; end: number }
  /** `detail` is for records and never quotes the peer's bytes. */
  | { state: 'malformed'; detail: string };
