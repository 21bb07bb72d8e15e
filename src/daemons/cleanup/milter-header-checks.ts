/**
 * milter_header_checks: what tables say of the headers that filters add or change. All actions of header_checks(5) but PREPEND.
 *
 * A table that cannot be asked refuses the message for now. An action that makes no sense is warned about and does nothing.
 */
import { cleanupDetail, cleanupFlag, cleanupStatus } from '../../ipc/cleanup.ts';
import { splitDsn } from '../../message/dsn.ts';
import { headerNameLength } from '../../message/header.ts';
import { recordType } from '../../message/record.ts';
import { TableTrouble } from '../../tables/table.ts';
import { upperAscii } from '../../text/ascii.ts';
import { isPending, type MaybePromise } from '../../text/maybe.ts';
import type { CleanupContext } from './context.ts';
import type { HeaderCheck } from './milter-edit.ts';
import type { MessageState } from './state.ts';

export interface HeaderChecksOptions {
  readonly context: CleanupContext;
  readonly state: MessageState;
  /** `milter-header-reject: header X-Spam: yes from host[address]; from=<> ...: text` */
  log(action: string, header: string, text: string): void;
  /** A record beside those that were extracted from the content. */
  extract(type: number, text: string): void;
  addRecipient(address: string): MaybePromise<void>;
}

interface Told extends HeaderChecksOptions {
  readonly header: string;
  /** Of the action, in the table's words. */
  readonly text: string;
}

/** What becomes of the header: the text that goes on, or undefined: nothing. */
type Action = (told: Told) => MaybePromise<string | undefined>;

const allFilters = cleanupFlag.filter | cleanupFlag.milter;
const title = 'milter_header_checks';

/** Undefined: no tables. */
export function headerChecks(options: HeaderChecksOptions): HeaderCheck | undefined {
  const { context } = options;
  const maps = context.milterHeaderChecks;
  if (maps === undefined) return undefined;
  return (header) => {
    try {
      const found = maps.find(header);
      return isPending(found) ? found.then((value) => obey(options, header, value), (error: unknown) => trouble(options, error)) : obey(options, header, found);
    } catch (error) {
      return trouble(options, error);
    }
  };
}

function trouble({ context, state }: HeaderChecksOptions, error: unknown): undefined {
  if (!(error instanceof TableTrouble)) throw error;
  context.log.warning(`${state.queueId}: ${title} map lookup problem -- message not accepted, try again later`);
  state.refuse(cleanupStatus.write);
}

function obey(options: HeaderChecksOptions, header: string, value: string | undefined): MaybePromise<string | undefined> {
  if (value === undefined) return header;
  const [, word = '', text = ''] = /^(\S*)[ \t]*(.*)$/s.exec(value) ?? [];
  const name = upperAscii(word);
  const ofMessage = messageActions.get(name);
  // Once it is decided what becomes of the message, nothing of it is looked at any more.
  if (ofMessage !== undefined) return isDecided(options.state) ? header : ofMessage({ ...options, header, text });
  const action = lineActions.get(name);
  if (action !== undefined) return action({ ...options, header, text });
  options.context.log.warning(`unsupported command in ${title} map: ${value}`);
  return header;
}

const isDecided = (state: MessageState): boolean => state.status !== 0 || (state.flags & cleanupFlag.discard) !== 0;

const warn = ({ context, header }: Told, text: string): string => (context.log.warning(text), header);

const says = (word: string): Action => ({ log, header, text }) => (log(word, header, text), header);

const lineActions: ReadonlyMap<string, Action> = new Map<string, Action>([
  ['WARN', says('warning')],
  ['INFO', says('info')],
  ['DUNNO', ({ header }) => header],
  ['OK', ({ header }) => header],
  ['IGNORE', () => undefined],
  ['STRIP', ({ log, header, text }) => void log('strip', header, text)],
  ['REPLACE', (told) => {
    const { log, header, text } = told;
    if (text === '') return warn(told, `REPLACE action without text in ${title} map`);
    if (headerNameLength(text) === 0) return warn(told, `bad REPLACE header text "${text}" in ${title} map -- need "headername: headervalue"`);
    log('replace', header, text);
    return text;
  }],
  ['PREPEND', (told) => {
    told.log('prepend', told.header, told.text);
    return warn(told, 'the milter_header/body_checks prepend action is not implemented');
  }],
]);

const messageActions: ReadonlyMap<string, Action> = new Map<string, Action>([
  ['REJECT', (told) => {
    refuse(told);
    told.log('reject', told.header, told.state.reason);
    return told.header;
  }],
  ['DISCARD', ({ log, state, header, text }) => {
    log('discard', header, text);
    state.flags = (state.flags | cleanupFlag.discard) & ~allFilters;
    return header;
  }],
  ['HOLD', ({ log, state, header, text }) => {
    if ((state.flags & cleanupFlag.hold) === 0) log('hold', header, text);
    state.flags |= cleanupFlag.hold;
    return header;
  }],
  ['FILTER', (told) => {
    if (told.text === '') return warn(told, `missing FILTER command argument in ${title} map`);
    if (!told.text.includes(':')) return warn(told, `bad FILTER command ${told.text} in ${title} -- need transport:destination`);
    told.log('filter', told.header, told.text);
    told.extract(recordType.filter, told.text);
    return told.header;
  }],
  ['REDIRECT', (told) => {
    if (!told.text.includes('@')) return warn(told, `bad REDIRECT target "${told.text}" in ${title} map -- need user@domain`);
    told.log('redirect', told.header, told.text);
    told.extract(recordType.redirect, told.text);
    told.state.flags &= ~allFilters;
    return told.header;
  }],
  ['BCC', (told) => {
    if (!told.text.includes('@')) return warn(told, `bad BCC address "${told.text}" in ${title} map -- need user@domain`);
    told.log('bcc', told.header, told.text);
    const added = told.addRecipient(told.text);
    return isPending(added) ? added.then(() => told.header) : told.header;
  }],
]);

function refuse({ context, state, text }: Told): void {
  const { dsn, text: usual } = cleanupDetail(cleanupStatus.contents);
  const { status, text: rest } = splitDsn(dsn, text === '' ? usual : text);
  let reason = `${status} ${rest}`;
  if (!/^[45]/.test(reason)) {
    context.log.warning(`bad DSN action in ${text} -- need 4.x.x or 5.x.x`);
    reason = `4${reason.slice(1)}`;
  }
  state.refuse(reason.startsWith('4') ? cleanupStatus.defer : cleanupStatus.contents, reason);
  state.flags &= ~allFilters;
}
