/**
 * All filters of one session, in order: each step is told to one after the other until one has a verdict; the content of a message is
 * shown to one after the other, each seeing what those before it have changed.
 *
 * A chain serves one session at a time and one step at a time. `quit` may come at any moment; whatever waits then settles.
 */
import { bodyChunk, type MacroStage } from '../protocol/milter/codes.ts';
import type { Edit } from '../protocol/milter/edit.ts';
import type { ContentInspection, ContentPass } from '../protocol/milter/inspection.ts';
import type { Macros, Milter } from '../protocol/milter/milter.ts';
import type { FilterVerdict } from '../protocol/milter/reply.ts';
import { macroRequests, type MacroRequest, type MilterSettings } from '../protocol/milter/settings.ts';
import { chain, isPending, type MaybePromise } from '../text/maybe.ts';
import { MilterLink, type MilterSurroundings } from './milter-link.ts';

/** The value of a macro (`{name}`); undefined: it has none now. */
export type MacroValue = (name: string) => MaybePromise<string | undefined>;

export interface ChainRules {
  /** Lists of macros as main.cf has them, by stage. */
  readonly macros: Readonly<Record<MacroStage, string>>;
  readonly macroDefaults: ReadonlyMap<string, string>;
}

export interface ClientFacts {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly family: 'inet' | 'inet6' | 'unix' | 'unknown';
}

type Tell = (milter: Milter, macros: Macros) => void;

export class MilterChain {
  readonly #links: readonly MilterLink[];
  readonly #rules: ChainRules;
  readonly #value: MacroValue;
  #isOver = false;

  constructor(milters: readonly MilterSettings[], rules: ChainRules, surroundings: MilterSurroundings, value: MacroValue) {
    this.#links = milters.map((settings) => new MilterLink(settings, surroundings));
    this.#rules = rules;
    this.#value = value;
  }

  /** Is there a filter that would look at a message now? */
  get isActive(): boolean {
    return this.#links.some(({ milter }) => milter.isActive);
  }

  /** What filters say to any step that is not theirs. */
  get lasting(): FilterVerdict {
    return this.#links.find(({ milter }) => milter.lasting !== undefined)?.milter.lasting;
  }

  async connect(client: ClientFacts): Promise<FilterVerdict> {
    for (const link of this.#links) {
      await link.open();
      if (this.#isOver) return undefined;
      const verdict = await this.#step(link, 'connect', (milter, macros) => milter.connect(client.name, client.address, client.port, client.family, macros));
      if (verdict !== undefined) return verdict;
    }
    return undefined;
  }

  hello(name: string): MaybePromise<FilterVerdict> {
    return this.#each('hello', (milter, macros) => milter.hello(name, macros));
  }

  /** Address and parameters as the client wrote them. */
  mail(words: readonly string[]): MaybePromise<FilterVerdict> {
    return this.#each('mail', (milter, macros) => milter.mail(words, macros));
  }

  /** `rejected`: only for filters that want to hear of recipients that are refused anyway. */
  rcpt(words: readonly string[], rejected = false): MaybePromise<FilterVerdict> {
    return this.#each('rcpt', (milter, macros) => milter.rcpt(words, macros), rejected ? ({ wantsRejectedRecipients }) => wantsRejectedRecipients : undefined);
  }

  data(): MaybePromise<FilterVerdict> {
    return this.#each('data', (milter, macros) => milter.data(macros));
  }

  unknown(line: string): MaybePromise<FilterVerdict> {
    return this.#each('unknown', (milter, macros) => milter.unknown(line, macros));
  }

  /** The transaction is over, however it ended. */
  abort(): void {
    for (const { milter } of this.#links) milter.abort();
  }

  /** The session is over. */
  quit(): void {
    this.#isOver = true;
    for (const link of this.#links) link.quit();
  }

  /** Show a message; `value` says what macros are worth then. */
  inspection(value: MacroValue = this.#value): ContentInspection {
    const links = this.#links.filter(({ milter }) => milter.isActive);
    return new Inspection(links, (link, stage) => this.#macros(link, stage, value), () => this.#isOver);
  }

  #each(stage: MacroStage, tell: Tell, wants?: (milter: Milter) => boolean, from = 0): MaybePromise<FilterVerdict> {
    for (let at = from; at < this.#links.length; at++) {
      const link = this.#links[at]!;
      if (wants !== undefined && !wants(link.milter)) continue;
      const verdict = this.#step(link, stage, tell);
      if (isPending(verdict)) return verdict.then((late) => late ?? (this.#isOver ? undefined : this.#each(stage, tell, wants, at + 1)));
      if (verdict !== undefined) return verdict;
    }
    return undefined;
  }

  #step(link: MilterLink, stage: MacroStage, tell: Tell): MaybePromise<FilterVerdict> {
    return chain(this.#macros(link, stage, this.#value), (macros) => {
      tell(link.milter, macros);
      return link.settle();
    });
  }

  #macros({ milter }: MilterLink, stage: MacroStage, value: MacroValue): MaybePromise<Macros> {
    if (milter.isOver) return [];
    const requests = macroRequests(milter.macroList(stage) ?? this.#rules.macros[stage]);
    return requests.length === 0 ? [] : this.#values(requests, 0, [], value);
  }

  #values(requests: readonly MacroRequest[], from: number, found: string[], value: MacroValue): MaybePromise<Macros> {
    for (let at = from; at < requests.length; at++) {
      const { name, key } = requests[at]!;
      const put = (text: string | undefined): void => {
        const said = text ?? this.#rules.macroDefaults.get(key);
        if (said !== undefined) found.push(name, said);
      };
      const answer = value(key);
      if (isPending(answer)) return answer.then((late) => (put(late), this.#values(requests, at + 1, found, value)));
      put(answer);
    }
    return found;
  }
}

type MacrosOf = (link: MilterLink, stage: MacroStage) => MaybePromise<Macros>;

class Inspection implements ContentInspection {
  readonly #links: readonly MilterLink[];
  readonly #macros: MacrosOf;
  readonly #isOver: () => boolean;
  #at = 0;
  #pass: Pass | undefined;

  constructor(links: readonly MilterLink[], macros: MacrosOf, isOver: () => boolean) {
    this.#links = links;
    this.#macros = macros;
    this.#isOver = isOver;
  }

  next(): MaybePromise<ContentPass | undefined> {
    // Not: nobody wants to see it. What was not seen must not be kept.
    if (this.#isOver()) throw new Error('the session of the milters is over');
    if (this.#pass?.verdict !== undefined) return undefined;
    const link = this.#links[this.#at++];
    if (link === undefined) return undefined;
    return chain(this.#macros(link, 'endOfHeaders'), (ofHeaders) => chain(this.#macros(link, 'endOfData'), (ofEnd) => {
      link.beginContent();
      return (this.#pass = new Pass(link, ofHeaders, ofEnd));
    }));
  }

  close(): void {
    for (const link of this.#links) link.endContent();
  }
}

/** The session has ended before the filter has said anything. */
const quitVerdict = '451 4.3.0 Error: queue file write error';

class Pass implements ContentPass {
  verdict: FilterVerdict;
  readonly #link: MilterLink;
  readonly #ofHeaders: Macros;
  readonly #ofEnd: Macros;
  #gathered: Buffer[] = [];
  #length = 0;

  constructor(link: MilterLink, ofHeaders: Macros, ofEnd: Macros) {
    this.#link = link;
    this.#ofHeaders = ofHeaders;
    this.#ofEnd = ofEnd;
  }

  get wantsHeaders(): boolean {
    return this.#link.milter.wantsHeaders;
  }

  get wantsBody(): boolean {
    return this.#link.milter.wantsBody;
  }

  header(name: string, value: string): MaybePromise<boolean> {
    if (this.#link.milter.wantsHeaders) this.#link.milter.header(name, value, this.#ofHeaders);
    return this.#told();
  }

  endOfHeaders(): MaybePromise<boolean> {
    if (this.#link.milter.wantsEndOfHeaders) this.#link.milter.endOfHeaders(this.#ofHeaders);
    return this.#told();
  }

  /** Pieces are as large as filters take them, whatever size they come in. */
  body(chunk: Buffer): MaybePromise<boolean> {
    for (let at = 0; at < chunk.length;) {
      if (!this.#wants) return this.#goesOn;
      const part = chunk.subarray(at, at + bodyChunk - this.#length);
      at += part.length;
      this.#length += part.length;
      if (this.#length < bodyChunk) {
        this.#gathered.push(Buffer.from(part));
        break;
      }
      const told = this.#send(part);
      const rest = chunk.subarray(at);
      if (isPending(told)) return told.then(() => this.body(rest));
    }
    return this.#wants;
  }

  get #wants(): boolean {
    return this.#goesOn && this.#link.milter.wantsBody;
  }

  get #goesOn(): boolean {
    return !this.#link.milter.hasDecided;
  }

  #send(part: Buffer): MaybePromise<boolean> {
    const whole = this.#gathered.length === 0 ? part : Buffer.concat([...this.#gathered, part]);
    this.#gathered = [];
    this.#length = 0;
    // What is gathered to be written later must not change meanwhile.
    this.#link.milter.body(whole, this.#ofEnd);
    return this.#told();
  }

  #told(): MaybePromise<boolean> {
    const verdict = this.#link.settle();
    return isPending(verdict) ? verdict.then(() => this.#goesOn) : this.#goesOn;
  }

  end(edit: (edit: Edit) => MaybePromise<void>): MaybePromise<FilterVerdict> {
    if (this.#link.isQuit) return quitVerdict;
    const last = this.#length > 0 && this.#wants ? this.#send(Buffer.alloc(0)) : true;
    return chain(last, () => {
      if (!this.#goesOn) return this.#conclude();
      this.#link.milter.endOfMessage(this.#ofEnd);
      return chain(this.#link.settle(edit), () => this.#conclude());
    });
  }

  #conclude(): FilterVerdict {
    this.verdict = this.#link.isQuit ? quitVerdict : this.#link.milter.verdict;
    this.#link.endContent();
    return this.verdict;
  }
}
