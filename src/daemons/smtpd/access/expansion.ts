/**
 * $name in texts for clients: default_rbl_reply, rbl_reply_maps, smtpd_reject_footer. What a client chose passes smtpd_expansion_filter.
 * postconf(5).
 */
import { expand, ExpansionError } from '../../../config/expand.ts';
import { unescaped } from '../../../text/escapes.ts';
import type { AccessState } from './state.ts';

export interface ExpansionRules {
  readonly myhostname: string;
  /** smtpd_expansion_filter, with its escapes. */
  readonly filter: string;
  warn(text: string): void;
  /** `Nov 21 10:11:12` */
  localTime(): string;
}

/** Gives undefined where the text cannot be expanded; the log is told. */
export type Expander = (template: string, state: AccessState, more?: ReadonlyMap<string, string>) => string | undefined;

export function createExpander({ myhostname, filter, warn, localTime }: ExpansionRules): Expander {
  const allowed = unescaped(filter);
  const values: ReadonlyMap<string, (state: AccessState) => string> = new Map<string, (state: AccessState) => string>([
    ['server_name', () => myhostname],
    ['client', ({ client }) => client.label],
    ['client_port', ({ client }) => client.port],
    ['client_address', ({ client }) => client.address],
    ['client_name', ({ client }) => client.name],
    ['reverse_client_name', ({ client }) => client.reverseName],
    ['helo_name', ({ helo }) => helo ?? ''],
    ['localtime', localTime],
    ...(['sender', 'recipient'] as const).flatMap((side) => [
      [side, (state: AccessState) => (state[side] === '' ? '<>' : (state[side] ?? ''))],
      [`${side}_name`, (state: AccessState) => (state[side] === '' ? '<>' : (state[side] ?? '').replace(/@[^@]*$/, ''))],
      [`${side}_domain`, (state: AccessState) => /@([^@]*)$/.exec(state[side] ?? '')?.[1] ?? ''],
    ] as const),
  ]);
  return (template, state, more) => {
    const lookup = (name: string): string | undefined => {
      const value = more?.get(name) ?? values.get(name)?.(state);
      if (value === undefined) warn(`unknown macro name "${name}" in expansion request`);
      return value;
    };
    try {
      return expand(template, { lookup, filter: allowed });
    } catch (error) {
      if (!(error instanceof ExpansionError)) throw error;
      return void warn(error.message);
    }
  };
}
