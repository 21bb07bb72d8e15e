/**
 * The Milter protocol in numbers: commands, replies, and the masks of its option negotiation. Versions 2, 3, 4 and 6, as libmilter
 * of Sendmail 8.14 and later speaks them. Names are those of its header file, because filters' logs use them.
 */

/** What we send. */
export const command = {
  abort: 'A', body: 'B', connect: 'C', macro: 'D', endOfBody: 'E', hello: 'H', quitKeep: 'K', header: 'L', mail: 'M', endOfHeaders: 'N',
  negotiate: 'O', quit: 'Q', rcpt: 'R', data: 'T', unknown: 'U',
} as const;

export type Command = (typeof command)[keyof typeof command];

/** What a filter says. */
export const answer = {
  addRecipient: '+', deleteRecipient: '-', addRecipientWithArguments: '2', accept: 'a', replaceBody: 'b', go: 'c', discard: 'd', changeSender: 'e',
  connectionFailed: 'f', addHeader: 'h', insertHeader: 'i', macroList: 'l', changeHeader: 'm', progress: 'p', quarantine: 'q', reject: 'r', skip: 's',
  tempfail: 't', replyCode: 'y', shutdown: '4',
} as const;

const commandNames: ReadonlyMap<string, string> = new Map([
  ['A', 'SMFIC_ABORT'], ['B', 'SMFIC_BODY'], ['C', 'SMFIC_CONNECT'], ['D', 'SMFIC_MACRO'], ['E', 'SMFIC_BODYEOB'], ['H', 'SMFIC_HELO'],
  ['K', 'SMFIC_QUIT_NC'], ['L', 'SMFIC_HEADER'], ['M', 'SMFIC_MAIL'], ['N', 'SMFIC_EOH'], ['O', 'SMFIC_OPTNEG'], ['Q', 'SMFIC_QUIT'],
  ['R', 'SMFIC_RCPT'], ['T', 'SMFIC_DATA'], ['U', 'SMFIC_UNKNOWN'],
]);

const answerNames: ReadonlyMap<string, string> = new Map([
  ['+', 'SMFIR_ADDRCPT'], ['-', 'SMFIR_DELRCPT'], ['2', 'SMFIR_ADDRCPT_PAR'], ['a', 'SMFIR_ACCEPT'], ['b', 'SMFIR_REPLBODY'], ['c', 'SMFIR_CONTINUE'],
  ['d', 'SMFIR_DISCARD'], ['e', 'SMFIR_CHGFROM'], ['f', 'SMFIR_CONN_FAIL'], ['h', 'SMFIR_ADDHEADER'], ['i', 'SMFIR_INSHEADER'],
  ['l', 'SMFIR_SETSYMLIST'], ['m', 'SMFIR_CHGHEADER'], ['p', 'SMFIR_PROGRESS'], ['q', 'SMFIR_QUARANTINE'], ['r', 'SMFIR_REJECT'],
  ['s', 'SMFIR_SKIP'], ['t', 'SMFIR_TEMPFAIL'], ['y', 'SMFIR_REPLYCODE'], ['4', 'SMFIR_SHUTDOWN'],
]);

export function commandName(code: string): string {
  return commandNames.get(code) ?? '(unknown MTA event)';
}

export function answerName(code: string): string {
  return answerNames.get(code) ?? '(unknown filter reply)';
}

/** What a filter may ask to have done to a message. */
export const action = {
  addHeaders: 1 << 0, changeBody: 1 << 1, addRecipients: 1 << 2, deleteRecipients: 1 << 3, changeHeaders: 1 << 4, quarantine: 1 << 5,
  changeSender: 1 << 6, addRecipientsWithArguments: 1 << 7, macroLists: 1 << 8,
} as const;

export const allActions = 0x1ff;

/** Steps that a filter does not want to hear of, or does not answer. */
export const step = {
  noConnect: 1 << 0, noHello: 1 << 1, noMail: 1 << 2, noRcpt: 1 << 3, noBody: 1 << 4, noHeaders: 1 << 5, noEndOfHeaders: 1 << 6,
  silentHeader: 1 << 7, noUnknown: 1 << 8, noData: 1 << 9, skip: 1 << 10, rejectedRcpt: 1 << 11, silentConnect: 1 << 12, silentHello: 1 << 13,
  silentMail: 1 << 14, silentRcpt: 1 << 15, silentData: 1 << 16, silentUnknown: 1 << 17, silentEndOfHeaders: 1 << 18, silentBody: 1 << 19,
  leadingSpace: 1 << 20,
} as const;

const version2 = step.noConnect | step.noHello | step.noMail | step.noRcpt | step.noBody | step.noHeaders | step.noEndOfHeaders;
const version3 = version2 | step.noUnknown;
const version4 = version3 | step.noData;
const silent = step.silentConnect | step.silentHello | step.silentMail | step.silentRcpt | step.silentData | step.silentUnknown | step.silentHeader
  | step.silentEndOfHeaders | step.silentBody;
const version6 = version4 | step.skip | step.rejectedRcpt | silent | step.leadingSpace;

/** Every step that can be left out: `version4` has them all. */
export const allSteps = version4;

/** What each version knows, the latest first. */
export const versions: readonly (readonly [version: number, steps: number])[] = [[6, version6], [4, version4], [3, version3], [2, version2]];

/** Which stage a macro list of the filter's own is for, by its number in the negotiation. */
export const macroStages = ['connect', 'hello', 'mail', 'rcpt', 'data', 'endOfData', 'endOfHeaders'] as const;

export type MacroStage = (typeof macroStages)[number] | 'unknown';

/** Largest piece of a body that filters take. */
export const bodyChunk = 65_535;
