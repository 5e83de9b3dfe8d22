/** The name of an agent: part of rules, records and file names, so it is kept plain. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._+@-]{0,63}$/;

export function isAgentName(text: string): boolean {
  return NAME.test(text);
}
