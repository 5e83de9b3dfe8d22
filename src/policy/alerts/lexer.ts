/** A condition's text as tokens. Everything that is no word or sign of the language is an error where it stands. */

export interface Token {
  kind: 'word' | 'sign' | 'end';
  text: string;
  /** Offset of its first UTF-16 unit. */
  at: number;
}

export interface ConditionProblem {
  message: string;
  fix: string | null;
  /** Offset into the condition. */
  at: number;
}

export const LONGEST_CONDITION = 4_000;

/** Words hold names, patterns, ranges, numbers and durations; what each may be depends on where it stands. */
const TOKEN = /([A-Za-z0-9_*.@+:/[\]%-]+)|(>=|<=|==|!=|[><=(),])|[ \t\r\n]+/y;

export function tokensOf(
  text: string,
): { ok: true; tokens: Token[] } | { ok: false; problem: ConditionProblem } {
  if (text.length > LONGEST_CONDITION) {
    const message = `a condition has at most ${LONGEST_CONDITION} characters, this one has ${text.length}`;
    return { ok: false, problem: { message, fix: 'Make two alerts of it.', at: LONGEST_CONDITION } };
  }
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(text);
    if (match === null) return { ok: false, problem: strange(text, at) };
    const [whole, word, sign] = match;
    if (word !== undefined) tokens.push({ kind: 'word', text: word, at });
    else if (sign !== undefined) tokens.push({ kind: 'sign', text: sign, at });
    at += whole.length;
  }
  tokens.push({ kind: 'end', text: '', at: text.trimEnd().length });
  return { ok: true, tokens };
}

const ADVICE: Readonly<Record<string, string>> = {
  '"': 'Nothing is quoted inside a condition.',
  "'": 'Nothing is quoted inside a condition.',
  '&': "Write 'and'.",
  '|': "Write 'or'.",
  '!': "Write 'not', or != between two values.",
  '~': "Write 'matches' and patterns such as *.example.com.",
  '{': 'Parentheses are round.',
  '}': 'Parentheses are round.',
  '≥': 'Write >=.',
  '≤': 'Write <=.',
  '≠': 'Write !=.',
};

function strange(text: string, at: number): ConditionProblem {
  const character = String.fromCodePoint(text.codePointAt(at)!);
  return { message: `a condition has no '${character}'`, fix: ADVICE[character] ?? null, at };
}
