/**
 * check_client_access and its sisters: an access(5) table is asked with the keys of one part of the envelope, most specific first.
 *
 * A table that cannot be asked refuses for now (451 4.3.5), after the log has been told.
 */
import { TableTrouble, type LookupTable } from '../../../tables/table.ts';
import { isPending, type MaybePromise } from '../../../text/maybe.ts';
import { refused, type AccessSetup } from './setup.ts';
import type { AccessState, Decision, ReplyClass, Restriction } from './state.ts';
import { applyEntry } from './table-result.ts';

interface Question {
  readonly name: string;
  readonly replyClass: ReplyClass;
  readonly keys: readonly string[];
}

/** What of the session is looked up; undefined: there is nothing to look up yet. */
type Ask = (setup: AccessSetup, state: AccessState) => Question | undefined;

const clientQuestion: Ask = (setup, { client }) =>
  ({ name: client.label, replyClass: 'Client host', keys: [...setup.domainKeys(client.name), ...addressKeys(client.address)] });

const heloQuestion: Ask = (setup, { helo }) => helo === undefined ? undefined : { name: helo, replyClass: 'Helo command', keys: setup.domainKeys(helo) };

const senderQuestion: Ask = (setup, { sender }) => sender === undefined ? undefined : {
  name: sender, replyClass: 'Sender address', keys: sender === '' ? [setup.view.smtpd_null_access_lookup_key] : setup.addressKeys(sender),
};

const recipientQuestion: Ask = (setup, { recipient }) =>
  recipient === undefined ? undefined : { name: recipient, replyClass: 'Recipient address', keys: setup.addressKeys(recipient) };

export const checkClientAccess = check('check_client_access', clientQuestion);
export const checkHeloAccess = check('check_helo_access', heloQuestion);
export const checkSenderAccess = check('check_sender_access', senderQuestion);
export const checkRecipientAccess = check('check_recipient_access', recipientQuestion);

function check(defaultTable: string, ask: Ask): (setup: AccessSetup, argument: string) => Restriction {
  return (setup, argument) => {
    const table = setup.openTable(argument);
    return (state) => {
      const question = ask(setup, state);
      return question === undefined ? undefined : search(setup, table, argument, state, question, defaultTable);
    };
  };
}

function search(setup: AccessSetup, table: LookupTable, title: string, state: AccessState, question: Question, defaultTable: string): MaybePromise<Decision> {
  const found = (key: string, value: string): MaybePromise<Decision> =>
    applyEntry({ setup, state, about: question, table: title, key, value, defaultTable });
  const judged = (key: string, value: string | TableTrouble): MaybePromise<Decision> =>
    (typeof value === 'string' ? found(key, value) : failed(setup, table, key, state, question));
  const from = (first: number): MaybePromise<Decision> => {
    for (let at = first; at < question.keys.length; at++) {
      const key = question.keys[at]!;
      if (at > 0 && !table.fixed && isPartial(question, at)) continue;
      const value = lookUp(table, key);
      if (isPending(value)) return value.then((late) => (late === undefined ? from(at + 1) : judged(key, late)));
      if (value !== undefined) return judged(key, value);
    }
    return undefined;
  };
  return from(0);
}

/** What the table says; trouble with it is an answer too. */
function lookUp(table: LookupTable, key: string): MaybePromise<string | TableTrouble | undefined> {
  const trouble = (error: unknown): TableTrouble => {
    if (error instanceof TableTrouble) return error;
    throw error;
  };
  try {
    const value = table.find(key);
    return isPending(value) ? value.catch(trouble) : value;
  } catch (error) {
    return trouble(error);
  }
}

function failed(setup: AccessSetup, table: LookupTable, key: string, state: AccessState, { name, replyClass }: Question): Decision {
  setup.tools.warn(`${table.type}:${table.name} lookup error for "${key}"`);
  return refused(setup, state, { code: 451, status: '4.3.5', text: `<${name}>: ${replyClass} rejected: Server configuration error`, isTrouble: true });
}

/** Pattern tables see whole names and addresses only, not pieces of them. */
function isPartial({ keys, replyClass }: Question, at: number): boolean {
  return replyClass !== 'Client host' || at !== keys.findIndex((key) => /^[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+$|:/.test(key));
}

/** 192.0.2.1, 192.0.2, 192.0, 192 (access(5), host name/address patterns); IPv6 by colons. */
function addressKeys(address: string): string[] {
  const separator = address.includes(':') ? ':' : '.';
  const keys: string[] = [];
  for (let key = address; key !== ''; key = key.slice(0, Math.max(key.lastIndexOf(separator), 0)).replace(/:+$/, '')) keys.push(key);
  return keys;
}
