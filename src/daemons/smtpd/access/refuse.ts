/**
 * From a reason to a reply: the code and status are checked, deferrals that wait for a refusal step in, the log is told.
 *
 * smtpd_check_reject in Postfix. A 5xx refusal becomes the pending defer_if_reject; with warn_if_reject nothing is refused.
 */
import { dsnValid } from '../../../message/dsn.ts';
import { lowerAscii, printable } from '../../../text/ascii.ts';
import type { AccessState, AccessTools, Decision, Refusal, Subject } from './state.ts';

const replyLimit = 510;

export interface RefuseRules {
  readonly softBounce: boolean;
  /** smtputf8_enable: well-formed UTF-8 stays as it is. */
  readonly utf8: boolean;
}

export function refuse(state: AccessState, refusal: Refusal, tools: AccessTools, rules: RefuseRules): Decision {
  if (state.warnOnly && !refusal.isTrouble) {
    tools.log('reject_warning', state, worded(refusal, rules, tools));
    return undefined;
  }
  const deferral = state.deferIfReject;
  if (deferral !== undefined && refusal.code >= 500) {
    state.warnOnly = false;
    state.deferIfReject = undefined;
    return refuse(state, deferral, tools, rules);
  }
  const line = worded(refusal, rules, tools);
  tools.log('reject', state, line);
  const [code, status, ...text] = line.split(' ');
  return { kind: 'refuse', reply: { code: Number(code), status: status!, text: text.join(' ') } };
}

/** `554 5.7.1 text` as the client gets it. */
function worded({ code, status, text }: Refusal, { softBounce, utf8 }: RefuseRules, tools: AccessTools): string {
  let line = `${code} ${status} ${text}`;
  if (code < 400 || code > 599 || dsnValid(status) === 0) {
    tools.warn(`SMTP reply code configuration error: ${line}`);
    line = '450 4.7.1 Service unavailable';
  }
  const first = softBounce && line.startsWith('5') ? '4' : line[0]!;
  return printable(`${first}${line.slice(1, 4)}${first}${line.slice(5)}`, ' ', utf8).slice(0, replyLimit);
}

/** Note a deferral for the end, unless one is noted already. With warn_if_reject it is a warning at once. */
export function deferIfPermit(state: AccessState, refusal: Refusal, tools: AccessTools, rules: RefuseRules): Decision {
  if (state.warnOnly) return refuse(state, refusal, tools, rules);
  state.deferIfPermit ??= refusal;
  return undefined;
}

/** The *_tempfail_action parameters: `defer_if_permit`, or `defer` at once. */
export function deferOr(action: string, state: AccessState, refusal: Refusal, tools: AccessTools, rules: RefuseRules): Decision {
  return lowerAscii(action.trim()) === 'defer_if_permit' ? deferIfPermit(state, refusal, tools, rules) : refuse(state, refusal, tools, rules);
}

/** An X.1.Y status says something about an address: it must suit the one that is refused (smtpd_dsn_fix, RFC 3463 section 3.2). */
export function statusFor(status: string, about: Subject, { log }: AccessState): string {
  const fixed = suited(status, about);
  if (fixed.slice(2) !== status.slice(2)) log.info(`mapping DSN status ${status} into ${about.replyClass} status ${fixed}`);
  return fixed;
}

function suited(status: string, { replyClass }: Subject): string {
  const detail = /^[245]\.1\.([0-9]+)$/.exec(status)?.[1];
  if (detail === undefined) return status;
  if (replyClass === 'Sender address') return `${status[0]}.1.${forSender.get(detail) ?? '0'}`;
  if (replyClass === 'Recipient address') return `${status[0]}.1.${forRecipient.get(detail) ?? '0'}`;
  return `${status[0]}.0.0`;
}

const forSender: ReadonlyMap<string, string> = new Map([['1', '7'], ['2', '8'], ['3', '7'], ['4', '7'], ['6', '7'], ['7', '7'], ['8', '8']]);
const forRecipient: ReadonlyMap<string, string> = new Map([['1', '1'], ['2', '2'], ['3', '3'], ['4', '4'], ['5', '5'], ['6', '6'], ['7', '3'], ['8', '2']]);
