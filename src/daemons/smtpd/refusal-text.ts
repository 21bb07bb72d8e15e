/**
 * What the operator wants to have done to refusals before the client reads them: smtpd_reject_filter_maps replaces a reply,
 * smtpd_reject_footer and its maps add lines. postconf(5).
 *
 * Every 4xx and 5xx reply passes here, those of the protocol machine too; so answers must be at hand: a table that has to be waited for
 * counts as one without an entry, and the log is told once.
 */
import type { Reply } from '../../protocol/smtp-server/steps.ts';
import { dsnValid } from '../../message/dsn.ts';
import type { Maps } from '../../tables/maps.ts';
import { TableTrouble } from '../../tables/table.ts';
import { isPending } from '../../text/maybe.ts';
import type { AccessState } from './access/state.ts';

export interface RefusalRules {
  readonly filter: Maps;
  readonly footers: Maps;
  /** smtpd_reject_footer */
  readonly footer: string;
  expand(template: string, state: AccessState): string | undefined;
  warn(text: string): void;
}

export type EditReply = (reply: Reply, state: AccessState) => Reply;

/** Undefined: nothing is to be done to any reply. */
export function createReplyEditor(rules: RefusalRules): EditReply | undefined {
  const { filter, footers, footer } = rules;
  if (filter.isEmpty && footers.isEmpty && footer === '') return undefined;
  const find = finder(rules);
  return (reply, state) => {
    if (reply.code < 400) return reply;
    const filtered = filter.isEmpty ? reply : replaced(reply, find(filter, lineOf(reply)), state, rules);
    const template = (footers.isEmpty ? undefined : find(footers, lineOf(filtered))) ?? footer;
    return template === '' ? filtered : withFooter(filtered, template, (text) => rules.expand(text, state) ?? '');
  };
}

function finder({ warn }: RefusalRules): (maps: Maps, key: string) => string | undefined {
  const told = new Set<Maps>();
  return (maps, key) => {
    try {
      const found = maps.find(key);
      if (!isPending(found)) return found;
      found.catch(() => undefined);
      if (!told.has(maps)) warn(`${maps.title}: a table that has to be waited for is of no use here`);
      told.add(maps);
    } catch (error) {
      if (!(error instanceof TableTrouble)) throw error;
    }
    return undefined;
  };
}

const textOf = ({ text }: Reply): readonly string[] => (typeof text === 'string' ? text.split('\n') : text);

/** The reply as tables know it: code, status, text; further lines behind CR LF. */
function lineOf(reply: Reply): string {
  const lines = textOf(reply);
  const status = reply.status === undefined ? '' : `${reply.status} `;
  return lines.map((line, at) => `${reply.code}${at < lines.length - 1 ? '-' : ' '}${status}${line}`).join('\r\n');
}

function replaced(reply: Reply, other: string | undefined, { log, queueId }: AccessState, { warn }: RefusalRules): Reply {
  if (other === undefined) return reply;
  const id = queueId ?? 'NOQUEUE';
  const [, code, rest] = /^([45][0-9][0-9])[ -](.*)$/s.exec(other) ?? [];
  if (code === undefined || (/^[0-9]/.test(rest!) && rest![0] !== code[0])) {
    warn(`${id}: ignoring invalid reject filter result: ${other}`);
    return reply;
  }
  log.info(`${id}: reply filter in: ${lineOf(reply)}`);
  log.info(`${id}: reply filter out: ${other}`);
  return parsed(Number(code), rest!);
}

function parsed(code: number, rest: string): Reply {
  const length = dsnValid(rest);
  const status = rest.slice(0, length);
  const lines = rest.split(/\r?\n/).map((line, at) => {
    const bare = at === 0 ? line : line.replace(/^[0-9]{3}[ -]/, '');
    return length > 0 && bare.startsWith(status) ? bare.slice(length).replace(/^[ \t]+/, '') : bare;
  });
  return length > 0 ? { code, status, text: lines } : { code, text: lines };
}

/** `\n` begins a line of its own; `\c` in front goes on with the line that is there. */
function withFooter(reply: Reply, template: string, expand: (text: string) => string): Reply {
  const lines = [...textOf(reply)];
  const goesOn = template.startsWith('\\c');
  (goesOn ? template.slice(2) : template).split('\\n').forEach((piece, at) => {
    if (at === 0 && goesOn) lines[lines.length - 1] += expand(piece);
    else lines.push(expand(piece));
  });
  return { ...reply, text: lines };
}
