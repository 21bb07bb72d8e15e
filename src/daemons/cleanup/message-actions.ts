/**
 * What tables for headers and bodies can do to a whole message: header_checks(5), as cleanup(8) does it.
 *
 * Milters' headers are checked with the same actions, and logged otherwise. What was decided is noted in the state of the message;
 * REJECT refuses it. An action that makes no sense is warned about and does nothing.
 */
import { cleanupDetail, cleanupFlag, cleanupStatus } from '../../ipc/cleanup.ts';
import { quote822Local } from '../../message/address.ts';
import { splitDsn } from '../../message/dsn.ts';
import { attributeName } from '../../message/envelope-names.ts';
import { untilNul, type CheckAction, type CheckActions } from '../../message/header-body-checks.ts';
import type { MessageState } from './state.ts';

/** Nothing more of the message is looked at: neither by tables nor by milters. */
const allFilters = cleanupFlag.filter | cleanupFlag.milter | cleanupFlag.inspect;

type Voice = Pick<CheckActions, 'log' | 'warn'>;

/** The actions that concern the message; PASS only where content comes in. */
export function messageActions(state: MessageState, { log, warn }: Voice): Map<string, CheckAction> {
  return new Map<string, CheckAction>([
    ['REJECT', (text, checked) => {
      refuse(state, text, warn);
      log('reject', checked, state.reason);
      return checked.content;
    }],
    ['FILTER', (text, checked) => {
      if (text === '') warn(`missing FILTER command argument in ${checked.mapName} map`);
      else if (!text.includes(':')) warn(`bad FILTER command ${text} in ${checked.mapName} -- need transport:destination`);
      else {
        state.contentFilter = text;
        log('filter', checked, text);
      }
      return checked.content;
    }],
    ['PASS', (text, checked) => {
      log('pass', checked, text);
      state.flags &= ~allFilters;
      return checked.content;
    }],
    ['DISCARD', (text, checked) => {
      log('discard', checked, text);
      state.flags = (state.flags | cleanupFlag.discard) & ~allFilters;
      return checked.content;
    }],
    ['HOLD', (text, checked) => {
      if ((state.flags & (cleanupFlag.hold | cleanupFlag.discard)) === 0) {
        log('hold', checked, text);
        state.flags |= cleanupFlag.hold;
      }
      return checked.content;
    }],
    ['REDIRECT', (text, checked) => {
      if (!text.includes('@')) warn(`bad REDIRECT target "${text}" in ${checked.mapName} map -- need user@domain`);
      else {
        state.redirect = text;
        log('redirect', checked, text);
        state.flags &= ~allFilters;
      }
      return checked.content;
    }],
    ['BCC', (text, checked) => {
      if (!text.includes('@')) warn(`bad BCC address "${text}" in ${checked.mapName} map -- need user@domain`);
      else {
        state.copies.push(text);
        log('bcc', checked, text);
      }
      return checked.content;
    }],
  ]);
}

/** REJECT: the text says whether for now or for good. Also what milter_header_checks answers with. */
function refuse(state: MessageState, text: string, warn: (text: string) => void): void {
  const { dsn, text: usual } = cleanupDetail(cleanupStatus.contents);
  const split = splitDsn(dsn, text === '' ? usual : text);
  state.reason = `${split.status} ${split.text}`;
  if (!/^[45]/.test(state.reason)) {
    warn(`bad DSN action in ${text} -- need 4.x.x or 5.x.x`);
    state.reason = `4${state.reason.slice(1)}`;
  }
  state.refuse(state.reason.startsWith('4') ? cleanupStatus.defer : cleanupStatus.contents);
  state.flags &= ~allFilters;
}

const shownContent = 200;

/**
 * The line that log readers look for: `ID: reject: header ... from ...; from=<> to=<> proto= helo=<>: text`. The origin is that of local mail where the
 * source did not say another.
 */
export function actionLine(state: MessageState, isInternal: boolean, action: string, where: string, content: string, text: string): string {
  const { attributes, sender, recipient } = state;
  const shown = (address: string): string => shownAddress(address, isInternal);
  const protocol = attributes.get(attributeName.logProtocolName);
  const helo = attributes.get(attributeName.logHeloName);
  return [
    `${state.queueId}: ${action}: ${where} ${content.slice(0, shownContent)} from ${origin(state)};`,
    sender === undefined ? '' : ` from=<${shown(sender)}>`,
    recipient === undefined ? '' : ` to=<${shown(recipient)}>`,
    protocol === undefined ? '' : ` proto=${protocol}`,
    helo === undefined ? '' : ` helo=<${helo}>`,
    text === '' ? '' : `: ${text}`,
  ].join('');
}

const shownProblem = 100;

/** The line about bad MIME. */
export function problemLine(state: MessageState, isInternal: boolean, problem: string, text: string): string {
  const [sender, recipient] = [state.sender ?? '', state.recipient ?? 'unknown'].map((address) => shownAddress(address, isInternal));
  return `${state.queueId}: reject: mime-error ${problem}: ${untilNul(text).slice(0, shownProblem)} from ${origin(state)}; from=<${sender}> to=<${recipient}>`;
}

function origin({ attributes }: MessageState): string {
  return attributes.get(attributeName.logMessageOrigin) ?? 'local';
}

/** info_log_address_format */
function shownAddress(address: string, isInternal: boolean): string {
  return isInternal || address === '' ? address : quote822Local(address);
}
