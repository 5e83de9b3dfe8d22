/**
 * Top-level names where far more domains than elsewhere are registered to do harm.
 *
 * Source: Cybercrime Information Center (Interisle), "Phishing Activity in Top-level Domains": of the twenty with the
 * most phishing domains in the year to 30 April 2025, the quarter to that day and the quarter to 31 October 2025
 * (https://www.cybercrimeinfocenter.org/phishing-activity-in-tlds-may-april-2025, …-february-april-2025 and
 * …-august-october-2025), those with more than 150 for every 10,000 domains in any of the three (`.com` had 29). And the
 * five that Freenom gave away for nothing until 2023, which were in every list of abuse while it did (Spamhaus,
 * 24 April 2023; Interisle, "Phishing in the 2020s"), and still are in most people's.
 */
export const RISKY_TLDS: ReadonlySet<string> = new Set([
  ...'bond cfd icu live lol mobi pro sbs shop top vip world xin xyz'.split(' '),
  ...'cf ga gq ml tk'.split(' '),
]);
