/**
 * The language of conditions:
 *
 *     condition = term { "or" term }
 *     term      = factor { "and" factor }
 *     factor    = "not" factor | "(" condition ")" | leaf
 *     leaf      = METRIC OP value "in" duration [ "per" group ] [ where ]
 *               | "domain" "matches" pattern { "," pattern } [ where ]
 *               | DETECTOR [ where ]
 *     value     = NUMBER | SIZE | FACTOR "x" "baseline"
 *     where     = "where" filter { "and" filter }
 *     filter    = field ( "=" | "matches" ) text { "," text }
 *
 * After `where`, an `and` that is followed by a field goes on with the filters; parentheses end them. Text, depth
 * and number of parts are bounded, and nothing is read twice, so that no condition can hang or fill the memory.
 */
import { didYouMean } from '../problem.ts';
import { readDuration, readNumber, valueProblem } from './amount.ts';
import {
  type Condition,
  DETECTORS,
  type DetectorName,
  type Filter,
  GROUPS,
  type Group,
  METRICS,
  type Metric,
  OPERATORS,
  type Operator,
  type Threshold,
  type Value,
} from './condition.ts';
import { FIELDS, isField, type Place, readFilter, readPatterns } from './filter.ts';
import { type ConditionProblem, type Token, tokensOf } from './lexer.ts';

export type ConditionResult = { ok: true; condition: Condition } | { ok: false; problem: ConditionProblem };

const DEEPEST = 16;
const MOST_LEAVES = 32;

/** Never throws. */
export function parseCondition(text: string): ConditionResult {
  const found = tokensOf(text);
  if (!found.ok) return found;
  try {
    return { ok: true, condition: new Parser(found.tokens).whole() };
  } catch (error) {
    if (error instanceof Halt) return { ok: false, problem: error.problem };
    throw error;
  }
}

/** Ends the parse at the first problem: what follows one is guesswork. Never leaves this file. */
class Halt extends Error {
  constructor(readonly problem: ConditionProblem) {
    super(problem.message);
  }
}

class Parser {
  #next = 0;
  #leaves = 0;
  /** Whether the last leaf had a `where`, so that a field may follow an `and`. */
  #afterWhere = false;

  constructor(readonly tokens: readonly Token[]) {}

  whole(): Condition {
    if (this.#here.kind === 'end')
      this.#fail('the condition is empty', 'Such as blocked_requests > 100 in 5 minutes');
    const condition = this.#condition(0);
    const after = this.#here;
    if (after.text === ')') this.#fail("this ')' closes nothing");
    if (after.kind !== 'end')
      this.#fail(`'${after.text}' does not go on with the condition`, this.#continuation(after));
    return condition;
  }

  #condition(depth: number): Condition {
    return this.#chain('or', () => this.#chain('and', () => this.#factor(depth)));
  }

  #chain(word: 'and' | 'or', part: () => Condition): Condition {
    const of = [part()];
    while (this.#takes(word)) of.push(part());
    return of.length === 1 ? of[0]! : { kind: word, of };
  }

  #factor(depth: number): Condition {
    const start = this.#here;
    if (start.text !== 'not' && start.text !== '(') return this.#leaf();
    if (depth >= DEEPEST)
      this.#fail(`a condition is nested at most ${DEEPEST} deep`, 'Make two alerts of it.');
    this.#next++;
    if (start.text === 'not') return { kind: 'not', of: this.#factor(depth + 1) };
    const inside = this.#condition(depth + 1);
    const end = this.#here;
    if (end.kind === 'end') this.#fail("this '(' is never closed", "Add ')'.", start);
    if (!this.#takes(')'))
      this.#fail(`'${end.text}' does not go on with the condition`, this.#continuation(end));
    this.#afterWhere = false;
    return inside;
  }

  #leaf(): Condition {
    const start = this.#here;
    if (++this.#leaves > MOST_LEAVES)
      this.#fail(`a condition has at most ${MOST_LEAVES} parts`, 'Make two alerts of it.');
    if (start.kind !== 'word') this.#fail(this.#instead('a metric, a detector or domain matches'));
    this.#next++;
    if (start.text === 'domain') return this.#domain();
    if (METRICS.includes(start.text as Metric)) return this.#threshold(start.text as Metric);
    if (DETECTORS.includes(start.text as DetectorName))
      return { kind: 'detector', name: start.text as DetectorName, where: this.#where(start.text as Place) };
    return this.#unknown(start);
  }

  #domain(): Condition {
    if (!this.#takes('matches')) this.#fail(this.#instead("'matches'"), 'Such as domain matches *.xyz, *.tk');
    const patterns = this.#list((token) => readPatterns('domain', token.text));
    return { kind: 'domain', patterns, where: this.#where('domain') };
  }

  #threshold(metric: Metric): Threshold {
    const op = this.#operator(metric);
    const at = this.#here;
    const value = this.#value(metric);
    const problem = valueProblem(metric, op, value);
    if (problem !== null) this.#fail(problem.message, problem.fix, at);
    if (this.#here.text === ',') this.#fail('a number has no commas');
    if (!this.#takes('in')) this.#fail(this.#instead("'in' and a duration"), `Such as in 5 minutes`);
    const window = this.#duration();
    const per = this.#per(metric);
    return { kind: 'threshold', metric, op, value, window, per, where: this.#where(metric) };
  }

  #operator(metric: Metric): Operator {
    const token = this.#here;
    if (token.text === '=') this.#fail("'=' compares names; numbers are compared with ==", 'Write ==');
    if (!OPERATORS.includes(token.text as Operator))
      this.#fail(this.#instead('a comparison'), `Such as ${metric} > 100 in 5 minutes`);
    this.#next++;
    return token.text as Operator;
  }

  #value(metric: Metric): Value {
    const words = this.#words(3);
    const read = readNumber(metric, words);
    if (!read.ok) return this.#fail(read.message ?? this.#instead('a number'), read.fix);
    this.#next += read.words;
    return read.value;
  }

  #duration(): number {
    const read = readDuration(this.#words(8));
    if (!read.ok) return this.#fail(read.message ?? this.#instead('a duration'), read.fix);
    this.#next += read.words;
    return read.value;
  }

  #per(metric: Metric): Group | null {
    if (!this.#takes('per')) return null;
    const token = this.#here;
    if (!GROUPS.includes(token.text as Group))
      this.#fail(this.#instead(`what it is counted for`), didYouMean(token.text, GROUPS));
    if (metric === 'new_blocked_domains' && token.text !== 'agent')
      this.#fail(`each ${token.text} is new once only`, 'Write per agent, or take the per out.');
    this.#next++;
    return token.text as Group;
  }

  #where(place: Place): readonly Filter[] {
    this.#afterWhere = false;
    if (!this.#takes('where')) return [];
    const filters = [this.#filter(place)];
    while (this.#here.text === 'and' && isField(this.tokens[this.#next + 1]!.text)) {
      this.#next++;
      filters.push(this.#filter(place));
    }
    if (this.#here.text === 'per')
      this.#fail("'per' stands before 'where'", 'Such as … in 5 minutes per agent where host matches *.xyz');
    this.#afterWhere = true;
    return filters;
  }

  #filter(place: Place): Filter {
    const field = this.#here;
    if (!isField(field.text)) return this.#fail(this.#instead('a field'), didYouMean(field.text, FIELDS));
    const name = field.text;
    this.#next++;
    const test = this.#here;
    if (test.text === '==') this.#fail("'==' compares numbers; names are compared with =", 'Write =');
    if (test.text !== '=' && test.text !== 'matches')
      this.#fail(this.#instead("'=' or 'matches'"), `Such as ${name} = …`);
    this.#next++;
    const values = this.#words(1);
    if (values.length === 0) this.#fail(this.#instead('a value'));
    const reader = readFilter(place, name, test.text === '=' ? 'equals' : 'matches');
    if (!reader.ok) return this.#fail(reader.message, reader.fix, reader.about === 'test' ? test : field);
    return reader.filter(this.#list((token) => reader.read(token.text)));
  }

  /** One or more words with commas between them. */
  #list(
    read: (token: Token) => { ok: true; value: string } | { ok: false; message: string; fix: string | null },
  ): string[] {
    const values: string[] = [];
    do {
      const token = this.#here;
      if (token.kind !== 'word') this.#fail(this.#instead('a value'));
      const result = read(token);
      if (!result.ok) return this.#fail(result.message, result.fix);
      values.push(result.value);
      this.#next++;
    } while (this.#takes(','));
    return values;
  }

  get #here(): Token {
    return this.tokens[this.#next]!;
  }

  /** Up to so many words from here on. */
  #words(most: number): string[] {
    const words: string[] = [];
    for (let i = this.#next; words.length < most && this.tokens[i]!.kind === 'word'; i++)
      words.push(this.tokens[i]!.text);
    return words;
  }

  #takes(text: string): boolean {
    if (this.#here.text !== text) return false;
    this.#next++;
    return true;
  }

  #unknown(token: Token): never {
    const word = token.text;
    if (/^\d/.test(word))
      this.#fail('the metric comes first', 'Such as blocked_requests > 100 in 5 minutes', token);
    if (word === 'host' && this.#here.text === 'matches')
      this.#fail("'host' is compared after 'where' only", 'Write domain matches', token);
    if (isField(word))
      this.#fail(`'${word}' is compared after 'where' only`, `Such as … where ${word} = …`, token);
    const words = [...(this.#afterWhere ? FIELDS : []), ...METRICS, ...DETECTORS, 'domain', 'not'];
    return this.#fail(`unknown metric or detector '${word}'`, didYouMean(word, words), token);
  }

  #continuation(token: Token): string {
    const { text } = token;
    if (text === ',') return 'Commas stand between patterns and between names only; a number has none.';
    if (text === 'for' || text === 'by') return "Write 'per agent', 'per host' or 'per domain'.";
    return didYouMean(text, ['and', 'or', 'per', 'where']);
  }

  #instead(wanted: string): string {
    const { kind, text } = this.#here;
    return kind === 'end'
      ? `the condition ends where ${wanted} is missing`
      : `${wanted} is missing before '${text}'`;
  }

  #fail(message: string, fix: string | null = null, token = this.#here): never {
    throw new Halt({ message, fix, at: token.at });
  }
}
