/** Points in time as a policy file gives them: RFC 3339 section 5.6, with its zone, and nothing that is guessed. */

const TIMESTAMP = /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/;

/** Milliseconds since the Unix epoch; null for anything else, also for dates such as February 30. */
export function parseTimestamp(text: string): number | null {
  const match = TIMESTAMP.exec(text);
  if (match === null) return null;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const lastDay = new Date(Date.UTC(2000 + (year % 400), month, 0)).getUTCDate();
  if (month < 1 || month > 12 || day < 1 || day > lastDay || hour > 23 || minute > 59 || second > 59)
    return null;
  const zone = match[8]!.toUpperCase();
  const offset = zone === 'Z' ? 0 : Number(zone.slice(1, 3)) * 60 + Number(zone.slice(4));
  if (zone !== 'Z' && (Number(zone.slice(1, 3)) > 23 || Number(zone.slice(4)) > 59)) return null;
  const fraction = Math.floor(Number(match[7] ?? 0) * 1_000);
  const utc = Date.UTC(year, month - 1, day, hour, minute, second, fraction);
  return utc - (zone.startsWith('-') ? -offset : offset) * 60_000;
}
