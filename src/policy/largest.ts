/** Of a policy, octets of UTF-8 or UTF-16 units: the limit holds for the text and for the file on disk. */
export const LARGEST_POLICY = 64 * 1024 * 1024;
