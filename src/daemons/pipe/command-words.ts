/**
 * The words of pipe(8)'s command: `$name` and `${name}` replaced, without a shell and without a second look at what came in.
 *
 * A word that names something of a recipient becomes one word per recipient; every other word stays one word, even an empty one.
 */
import { expand, visitNames } from '../../config/expand.ts';
import type { DeliveryRequest, Recipient } from '../../ipc/deliver.ts';
import { quote822Local, splitAddress, splitExtension, type ExtensionOptions } from '../../message/address.ts';
import { foldCase } from '../../text/utf8.ts';
import type { PipeAttributes } from './attributes.ts';

export interface WordRules {
  readonly attributes: PipeAttributes;
  /** recipient_delimiter */
  readonly delimiters: string;
  readonly extensions: ExtensionOptions;
  readonly warn: (text: string) => void;
}

/** The word is misspelt in master.cf. */
export class UnknownMacro extends Error {}

type RecipientMacro = (recipient: Recipient, rules: WordRules) => string;

const recipientMacros: ReadonlyMap<string, RecipientMacro> = new Map<string, RecipientMacro>([
  ['recipient', ({ address }, rules) => shown(address, rules.attributes)],
  ['original_recipient', ({ originalAddress }, rules) => shown(originalAddress, rules.attributes)],
  ['user', (recipient, rules) => {
    const local = localOf(recipient, rules);
    return splitExtension(local, rules.delimiters, rules.extensions)?.base ?? local;
  }],
  ['extension', (recipient, rules) => splitExtension(localOf(recipient, rules), rules.delimiters, rules.extensions)?.extension ?? ''],
  ['mailbox', localOf],
  ['domain', ({ address }, rules) => splitAddress(folded(address, rules.attributes)).domain ?? withoutAt(address, rules)],
]);

const requestMacros: ReadonlyMap<string, (request: DeliveryRequest, attributes: PipeAttributes) => string> = new Map([
  ['nexthop', ({ nexthop }, { foldHost }) => (foldHost ? foldCase(nexthop) : nexthop)],
  ['sender', senderWord],
  ['size', ({ dataSize }) => String(dataSize)],
  ['client_address', ({ clientAddress }) => clientAddress],
  ['client_hostname', ({ clientName }) => clientName],
  ['client_port', ({ clientPort }) => clientPort],
  ['client_protocol', ({ clientProtocol }) => clientProtocol],
  ['client_helo', ({ clientHelo }) => clientHelo],
  ['sasl_method', ({ saslMethod }) => saslMethod],
  ['sasl_username', ({ saslUsername }) => saslUsername],
  ['sasl_sender', ({ saslSender }) => saslSender],
  ['queue_id', ({ queueId }) => queueId],
  ['envid', ({ dsnEnvid }) => dsnEnvid],
]);

/** The sender, or what stands in for the null sender. */
export function senderOf({ sender }: DeliveryRequest, { nullSender }: PipeAttributes): string {
  return sender === '' ? nullSender : sender;
}

function senderWord(request: DeliveryRequest, attributes: PipeAttributes): string {
  const sender = senderOf(request, attributes);
  return sender !== '' && attributes.quote ? quote822Local(sender) : sender;
}

/** Throws UnknownMacro (a name that is none) or ExpansionError (what is no expression). */
export function commandWords(request: DeliveryRequest, rules: WordRules): string[] {
  return rules.attributes.argv.flatMap((word) => wordsFor(word, request, rules));
}

function wordsFor(word: string, request: DeliveryRequest, rules: WordRules): string[] {
  if (!word.includes('$')) return [word];
  const names: string[] = [];
  visitNames(word, (name) => names.push(name));
  const unknown = names.find((name) => !recipientMacros.has(name) && !requestMacros.has(name));
  if (unknown !== undefined) throw new UnknownMacro(unknown);
  const recipients = names.some((name) => recipientMacros.has(name)) ? request.recipients : request.recipients.slice(0, 1);
  return recipients.map((recipient) => expand(word, {
    lookup: (name) => recipientMacros.get(name)?.(recipient, rules) ?? requestMacros.get(name)?.(request, rules.attributes),
  }));
}

function shown(address: string, attributes: PipeAttributes): string {
  return folded(attributes.quote ? quote822Local(address) : address, attributes);
}

function folded(address: string, { foldUser, foldHost }: PipeAttributes): string {
  const { local, domain } = splitAddress(address);
  const left = foldUser ? foldCase(local) : local;
  return domain === undefined ? left : `${left}@${foldHost ? foldCase(domain) : domain}`;
}

function localOf({ address }: Recipient, rules: WordRules): string {
  const { local, domain } = splitAddress(folded(address, rules.attributes));
  if (domain === undefined) withoutAt(address, rules);
  return local;
}

function withoutAt(address: string, { warn }: WordRules): string {
  warn(`no @ in recipient address: ${address}`);
  return '';
}
