/** The footer of a refusal: postscreen_reject_footer_maps, postscreen_reject_footer, with the few names that may be shown. postconf(5). */
import type { Configuration } from '../../config/configuration.ts';
import { expand, ExpansionError } from '../../config/expand.ts';
import type { Client } from '../../protocol/postscreen/settings.ts';
import { monthDayTime } from '../../text/asctime.ts';
import { unescaped } from '../../text/escapes.ts';
import type { AskAtOnce } from './at-once.ts';

export interface FooterRules {
  readonly find: AskAtOnce;
  readonly footer: string;
  readonly myhostname: string;
  /** postscreen_expansion_filter */
  readonly filter: string;
  now(): number;
  warn(text: string): void;
}

export function footers({ find, footer, myhostname, filter, now, warn }: FooterRules): (reply: string, client: Client) => string {
  const allowed = unescaped(filter);
  return (reply, { address, port }) => {
    const found = find(reply);
    const template = typeof found === 'string' ? found : footer;
    if (template === '') return '';
    const values: ReadonlyMap<string, () => string> = new Map([
      ['server_name', () => myhostname], ['client_address', () => address], ['client_port', () => port], ['localtime', () => monthDayTime(now())],
    ]);
    const lookup = (name: string): string | undefined => {
      const value = values.get(name)?.();
      if (value === undefined) warn(`unknown macro name "${name}" in expansion request`);
      return value;
    };
    try {
      return expand(template, { lookup, filter: allowed });
    } catch (error) {
      if (!(error instanceof ExpansionError)) throw error;
      warn(error.message);
      return '';
    }
  };
}

/** A value that is nothing but another parameter's name means that one's text, which may have names in it for clients. */
export function ownOrOther(config: Configuration, name: string): string {
  const text = config.text(name);
  const other = /^\$(?:\{([A-Za-z0-9_]+)\}|([A-Za-z0-9_]+))$/.exec(text);
  const target = other?.[1] ?? other?.[2];
  return target === undefined || config.written(target) === undefined ? text : config.text(target);
}
