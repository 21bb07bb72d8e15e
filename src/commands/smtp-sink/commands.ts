/** What smtp-sink(1) knows about each command: is it there, is it logged, refused, answered late. Names are told in any case of letters. */
import { lowerAscii } from '../../text/ascii.ts';

export type Verb = 'connect' | 'helo' | 'ehlo' | 'lhlo' | 'xclient' | 'xforward' | 'auth' | 'mail' | 'rcpt' | 'data' | '.' | 'rset' | 'noop' | 'vrfy' | 'quit';

export interface SinkCommand {
  readonly verb: Verb;
  enabled: boolean;
  logged: boolean;
  /** How it is refused; the first of these that is set wins. */
  hangUp: boolean;
  close: boolean;
  hard: boolean;
  soft: boolean;
  /** Seconds; 0: at once. */
  delay: number;
  /** Percent: how likely the delay is to be prolonged by itself, again and again; 0: it is as it is. */
  odds: number;
}

const offAtFirst: ReadonlySet<Verb> = new Set(['connect', 'helo', 'ehlo', 'lhlo']);
const verbs: readonly Verb[] = ['connect', 'helo', 'ehlo', 'lhlo', 'xclient', 'xforward', 'auth', 'mail', 'rcpt', 'data', '.', 'rset', 'noop', 'vrfy', 'quit'];

export class CommandTable {
  readonly #table = new Map<string, SinkCommand>(verbs.map((verb) => [verb, {
    verb, enabled: !offAtFirst.has(verb), logged: false, hangUp: false, close: false, hard: false, soft: false, delay: 0, odds: 0,
  }]));

  /** By whatever a client says; undefined: there is no such command. */
  find(word: string): SinkCommand | undefined {
    return this.#table.get(word) ?? this.#table.get(lowerAscii(word));
  }

  some(is: (command: SinkCommand) => boolean): boolean {
    return [...this.#table.values()].some(is);
  }

  get(verb: Verb): SinkCommand {
    return this.#table.get(verb)!;
  }
}
