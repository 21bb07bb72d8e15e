/**
 * The content of one message on its way through cleanup(8): headers and lines as mime_state(3) sees them, held against header_checks(5)
 * and body_checks(5), converted where main.cf wants that, and written down.
 *
 * Most messages need little of this: where nobody asks about body lines, a body goes on in large pieces, and only those with parts
 * are looked through for boundaries, since the headers of parts may tell of 8-bit content. A table that must be waited for makes the rest of the
 * content wait. Trouble with a table refuses the message for now.
 */
import { cleanupStatus, cleanupFlag } from '../../ipc/cleanup.ts';
import { checkBody, checkHeader, checkedPlace, obey, untilNul, type CheckActions, type CheckResult } from '../../message/header-body-checks.ts';
import { headerClass, headerNameLength, type HeaderClass } from '../../message/header.ts';
import { MimeMachine, mimeProblemText, type HeaderPlace, type MimeProblem } from '../../message/mime.ts';
import { MimeStream } from '../../message/mime-stream.ts';
import { recordType } from '../../message/record.ts';
import { ContentRecords } from '../../queue/content-records.ts';
import { TableTrouble } from '../../tables/table.ts';
import { chain, isPending, type MaybePromise } from '../../text/maybe.ts';
import type { CleanupContext } from './context.ts';
import type { ContentRules } from './content-rules.ts';
import type { Headers } from './headers.ts';
import { actionLine, messageActions, problemLine } from './message-actions.ts';
import type { MessageState } from './state.ts';


/** Later ones say less. */
const problemsByWeight = Object.keys(mimeProblemText) as readonly MimeProblem[];

export class Content {
  readonly #context: CleanupContext;
  readonly #state: MessageState;
  readonly #headers: Headers;
  readonly #rules: ContentRules;
  readonly #stream: MimeStream;
  readonly #machine: MimeMachine;
  readonly #records: ContentRecords;
  #problems: Set<MimeProblem> | undefined;
  #actions: CheckActions | undefined;
  /** What is being waited for, and what came from the same line behind it. */
  #pending: Promise<void> | undefined;
  #line: (() => MaybePromise<void>)[] = [];
  #ended = false;

  constructor(context: CleanupContext, state: MessageState, headers: Headers, lineEnd: 'crlf' | 'lf') {
    const { view, content: rules } = context;
    this.#context = context;
    this.#state = state;
    this.#headers = headers;
    this.#rules = rules;
    const isFiltered = (state.flags & cleanupFlag.filter) !== 0;
    this.#machine = new MimeMachine(
      {
        header: (place, kind, field) => {
          if (this.#pending !== undefined) return this.#soon(() => this.#header(place, kind, field));
          const pending = this.#header(place, kind, field);
          if (isPending(pending)) this.#pending = pending;
        },
        headersEnd: () => this.#soon(() => this.#headersEnd()),
        body: (text, last, offset) => this.#body(text, last, offset),
        problem: (kind, text) => this.#soon(() => this.#problem(kind, text)),
      },
      {
        plain: view.disable_mime_input_processing, downgrade: view.force_mime_input_conversion, report: isFiltered ? rules.report : rules.reportUnfiltered,
        headerLimit: view.header_size_limit, boundaryLimit: view.mime_boundary_length_limit, maximumDepth: view.mime_nesting_limit,
      },
    );
    this.#records = new ContentRecords({ lineEnd, lineLimit: view.line_length_limit, replaceStray: view.cleanup_replace_stray_cr_lf });
    this.#stream = new MimeStream(this.#machine, {
      lineEnd, lineLimit: view.line_length_limit,
      replaceStray: view.cleanup_replace_stray_cr_lf,
      prepare: rules.rejected === undefined && rules.stripped === undefined ? undefined : (piece) => this.#prepare(piece),
      wants: (offset) => this.#wantsBody(offset),
      bulk: (bytes) => this.#state.append(this.#records.records(bytes)),
    });
  }

  /** The next piece of the content; a promise when it has to be waited for. */
  push(chunk: Buffer): MaybePromise<void> {
    this.#stream.take(chunk);
    return this.#work();
  }

  /** There is no more. */
  end(): MaybePromise<void> {
    this.#stream.takeEnd();
    return chain(this.#work(), () => {
      if (!this.#state.isWhole) return undefined;
      this.#machine.end();
      return chain(this.#settle(), () => this.#finish());
    });
  }

  #finish(): void {
    this.#state.append(this.#records.end());
    if (this.#ended || !this.#state.isWhole) return;
    this.#ended = true;
    const problems = this.#problems;
    if (problems === undefined) return;
    const worst = problemsByWeight.find((kind) => problems.has(kind) && this.#refuses(kind));
    if (worst !== undefined && this.#state.reason === '') this.#state.refuse(cleanupStatus.contents, `5.6.0 ${mimeProblemText[worst]}`);
  }

  #work(): MaybePromise<void> {
    for (let more = true; more && this.#state.isWhole; ) {
      more = this.#stream.step();
      const pending = this.#settle();
      if (pending !== undefined) return (pending as Promise<void>).then(() => this.#work());
    }
  }

  /** Now, or behind what is being waited for. */
  #soon(step: () => MaybePromise<void>): void {
    if (this.#pending !== undefined) {
      this.#line.push(step);
      return;
    }
    const result = step();
    if (isPending(result)) this.#pending = result;
  }

  #settle(): MaybePromise<void> {
    const pending = this.#pending;
    return pending === undefined ? undefined : pending.then(() => this.#goOn());
  }

  #goOn(): MaybePromise<void> {
    this.#pending = undefined;
    const line = this.#line;
    this.#line = [];
    for (const step of line) this.#soon(step);
    return this.#settle();
  }

  /** message_reject_characters, message_strip_characters. */
  #prepare(line: Buffer): Buffer | undefined {
    const { rejected, stripped } = this.#rules;
    if (this.#isFiltered && rejected !== undefined && line.some((byte) => rejected.has(byte))) {
      obey({ where: 'content', content: untilNul(line.toString('latin1')), mapName: 'character reject' }, 'REJECT disallowed character', this.#acting());
      return undefined;
    }
    return this.#isFiltered && stripped !== undefined ? (line.filter((byte) => !stripped.has(byte)) as Buffer) : line;
  }

  get #isFiltered(): boolean {
    return (this.#state.flags & cleanupFlag.filter) !== 0;
  }

  #wantsBody(offset: number): boolean {
    if (!this.#isFiltered) return false;
    return this.#rules.rejected !== undefined || this.#rules.stripped !== undefined || this.#checksBody(offset);
  }

  #checksBody(offset: number): boolean {
    const { body_checks_size_limit: limit } = this.#context.view;
    return this.#isFiltered && this.#rules.tables.body !== undefined && (limit === 0 || offset < limit);
  }

  #header(place: HeaderPlace, kind: HeaderClass | undefined, field: string): MaybePromise<void> {
    const state = this.#state;
    if (kind?.name === 'Received') state.hopCount++;
    const { headers: tables } = this.#rules.tables;
    const where = checkedPlace(place, kind);
    if (!this.#isFiltered || tables[where] === undefined) return where === 'primary' ? this.#headers.add(field, kind) : this.#headers.part(field, kind);
    return chain(this.#checked(tables[where].title, field, () => checkHeader(tables, place, kind, field, this.#acting())), (result) =>
      (result === undefined ? undefined : this.#write(where, result)));
  }

  /** A table may have put another header in its place. */
  #write(where: HeaderPlace, field: string): MaybePromise<void> {
    const kind = headerClass(field.slice(0, headerNameLength(field)));
    return where === 'primary' ? this.#headers.add(field, kind) : this.#headers.part(field, kind);
  }

  #headersEnd(): void {
    if (!this.#state.isWhole) return;
    this.#headers.finish();
    if (this.#problems?.has('no-empty-line') === true && this.#rules.emptyLine === 'add_header') this.#put('MIME-Error: message header was not terminated by empty line', true);
  }

  #body(text: Buffer, last: boolean, offset: number): void {
    if (this.#pending === undefined && !this.#checksBody(offset)) return this.#put(text, last);
    this.#soon(() => this.#bodyLine(text, last, offset));
  }

  #bodyLine(text: Buffer, last: boolean, offset: number): MaybePromise<void> {
    if (!this.#state.isWhole) return;
    const table = this.#rules.tables.body;
    if (table === undefined || text.length === 0 || !this.#checksBody(offset)) return this.#put(text, last);
    const line = text.toString('latin1');
    return chain(this.#checked(table.title, line, () => checkBody(table, line, this.#acting())), (result) => {
      if (result === line) this.#put(text, last);
      else if (result !== undefined) this.#put(result, last);
    });
  }

  #put(text: Buffer | string, last: boolean): void {
    const { line_length_limit: limit } = this.#context.view;
    let at = 0;
    for (; text.length - at > limit; at += limit) this.#state.putContent(recordType.partial, text.slice(at, at + limit));
    this.#state.putContent(last ? recordType.normal : recordType.partial, at === 0 ? text : text.slice(at));
  }

  /** A table that cannot be asked: the message is not taken now. */
  #checked(title: string, text: string, check: () => MaybePromise<CheckResult>): MaybePromise<CheckResult> {
    const trouble = (error: unknown): string => {
      if (!(error instanceof TableTrouble)) throw error;
      this.#context.log.warning(`${this.#state.queueId}: ${title} map lookup problem -- message not accepted, try again later`);
      this.#state.refuse(cleanupStatus.write);
      return text;
    };
    try {
      const result = check();
      return isPending(result) ? result.catch(trouble) : result;
    } catch (error) {
      return trouble(error);
    }
  }

  #acting(): CheckActions {
    return (this.#actions ??= this.#newActions());
  }

  #newActions(): CheckActions {
    const { log, view } = this.#context;
    const warn = (text: string): void => log.warning(text);
    const say: CheckActions['log'] = (action, { where, content }, text) =>
      log.info(actionLine(this.#state, view.info_log_address_format === 'internal', action, where, content, text));
    return {
      unknown: 'unknown', warn, log: say, more: messageActions(this.#state, { log: say, warn }),
      prepend: (text, { where }) => (where === 'header' ? this.#headers.write(text) : this.#put(text, true)),
    };
  }

  #problem(kind: MimeProblem, text: string): void {
    (this.#problems ??= new Set()).add(kind);
    if (!this.#refuses(kind)) return;
    this.#context.log.info(problemLine(this.#state, this.#context.view.info_log_address_format === 'internal', mimeProblemText[kind], text));
  }

  #refuses(kind: MimeProblem): boolean {
    return kind !== 'long-header' && (kind !== 'no-empty-line' || this.#rules.emptyLine === 'reject');
  }
}
