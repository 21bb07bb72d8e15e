/**
 * Delivery mode: one message from standard input becomes the records of a submission.
 *
 * Recipients come from the command line, each word parsed like a header's value (some programs give "a, b" or "Name <a>"), and
 * with -t from the header. Fails through `voice.fatal`, with the sender and the user's number in front, as Postfix's does.
 */
import type { Configuration } from '../config/configuration.ts';
import { errorText } from '../host/libc.ts';
import { addressesIn } from '../message/address-tokens.ts';
import { attributeName, traceFlag } from '../message/envelope-names.ts';
import { recordType, renderSize } from '../message/record.ts';
import type { Submitters } from '../tables/submitters.ts';
import type { CommandLine, Speaker } from './command-line.ts';
import { HeaderRecipients } from './header-recipients.ts';
import { MessageLines, type FixLineEnds, type TakeLine } from './message-lines.ts';
import { NoOutlet, outcomeText } from './outlet.ts';
import { senderTrouble } from './sender.ts';
import type { User } from './user.ts';
import type { WayOut } from './way-out.ts';

export interface Surroundings {
  readonly config: Configuration;
  readonly voice: Speaker;
  readonly user: User;
  readonly submitters: Submitters;
  readonly wayOut: WayOut;
  readonly stdin: AsyncIterable<Uint8Array>;
  readonly stdout: { write(bytes: Uint8Array): unknown };
}

/** No number: sizes are the queue's business, only the options of the sender count. */
const unknownSize = { contentSize: -1, dataOffset: -1, recipientCount: -1, queueFlags: -1, contentLength: -1 };

export async function enqueue(line: CommandLine, around: Surroundings): Promise<void> {
  const { voice, user, wayOut } = around;
  const sender = senderOf(line, around);
  const fatal = (text: string): never => voice.fatal(`${sender}(${user.uid}): ${text}`);
  try {
    const trouble = await senderTrouble(around.submitters, user.uid, sender);
    if (trouble !== undefined) fatal(trouble.reason);
    putEnvelope(line, sender, around, fatal);
    const named = putRecipients(line, line.operands.flatMap(recipientsIn), wayOut);
    wayOut.put(recordType.message);
    const extracted = line.trace & traceFlag.userVerify ? putProbe(line, sender, wayOut) : await putContent(line, around, fatal);
    wayOut.put(recordType.extracted);
    if (named + putRecipients(line, extracted, wayOut) === 0) {
      fatal(line.fromHeaders ? 'No recipient addresses found in message header'
        : 'Recipient addresses must be specified on the command line or via the -t option');
    }
    wayOut.put(recordType.end);
    const outcome = await wayOut.finish();
    if (outcome.status !== 0) fatal(outcomeText(outcome));
  } catch (error) {
    wayOut.abort();
    if (error instanceof NoOutlet) fatal(`cannot hand over mail: ${error.message}`);
    throw error;
  }
  if (line.trace !== 0) around.stdout.write(Buffer.from(`Mail Delivery Status Report will be mailed to <${sender}>.\n`, 'latin1'));
}

function senderOf({ sender }: CommandLine, { voice, user }: Surroundings): string {
  if (sender === undefined) return user.login ?? voice.fatal(`no login name found for user ID ${user.uid}`);
  const addresses = addressesIn(sender);
  if (addresses.length > 1) voice.warning(`-f option specified malformed sender: ${sender}`);
  return addresses[0] ?? '';
}

/** A word without any address in it is an empty recipient, which goes to empty_address_recipient. */
function recipientsIn(word: string): string[] {
  const addresses = addressesIn(word);
  return addresses.length === 0 ? [''] : addresses;
}

function putEnvelope(line: CommandLine, sender: string, { config, user, wayOut }: Surroundings, fatal: (text: string) => never): void {
  const attribute = (name: string, value: string | number): void => wayOut.put(recordType.attribute, `${name}=${value}`);
  if (line.sendOptions !== 0) wayOut.put(recordType.size, renderSize({ ...unknownSize, sendOptions: line.sendOptions }));
  if (line.envid !== undefined) attribute(attributeName.dsnEnvid, line.envid);
  if (line.ret !== 0) attribute(attributeName.dsnRet, line.ret);
  attribute(attributeName.rewriteContext, line.rewriteContext);
  const fullName = line.fullName ?? user.fullName;
  if (fullName !== undefined) wayOut.put(recordType.fullName, oneLine(fullName));
  wayOut.put(recordType.sender, sender);
  if (line.verp !== undefined && sender === '') fatal('-V option requires non-null sender address');
  if (line.encoding !== undefined) attribute(attributeName.encoding, line.encoding);
  if (line.trace !== 0) attribute(attributeName.traceFlags, line.trace);
  if (line.verp !== undefined) wayOut.put(recordType.verp, line.verp === '' ? config.get('default_verp_delimiters') : line.verp);
}

/** The number of recipients. NOTIFY goes with each of them. */
function putRecipients({ notify }: CommandLine, recipients: readonly string[], wayOut: WayOut): number {
  for (const recipient of recipients) {
    if (notify !== 0) wayOut.put(recordType.attribute, `${attributeName.dsnNotify}=${notify}`);
    wayOut.put(recordType.recipient, recipient);
  }
  return recipients.length;
}

/** -bv: a message about nothing, whose delivery is only tried out. */
function putProbe({ operands }: CommandLine, sender: string, wayOut: WayOut): readonly string[] {
  if (sender !== '') wayOut.put(recordType.normal, `From: ${sender}`);
  wayOut.put(recordType.normal, 'Subject: probe');
  if (operands.length > 0) wayOut.put(recordType.partial, 'To:');
  operands.forEach((word, index) => wayOut.put(recordType.normal, `\t${oneLine(word)}${index + 1 < operands.length ? ',' : ''}`));
  return [];
}

/** The message as it comes; with -t the recipients in its header are the answer. */
async function putContent(line: CommandLine, { config, voice, wayOut, stdin }: Surroundings, fatal: (text: string) => never): Promise<readonly string[]> {
  const limit = config.get('line_length_limit');
  const put: TakeLine = (text, last) => wayOut.put(last ? recordType.normal : recordType.partial, text);
  const header = line.fromHeaders ? new HeaderRecipients(put, limit, config.get('header_size_limit')) : undefined;
  const take: TakeLine = header === undefined ? put : (text, last) => {
    header.line(text, last);
    if (header.trouble !== undefined) fatal(`unable to extract recipients: ${header.trouble}`);
  };
  const lines = new MessageLines({ limit, fix: fixLineEnds(config, voice), endsAtDot: line.endsAtDot }, take);
  await copy(stdin, lines, wayOut, fatal);
  header?.end();
  return header?.recipients ?? [];
}

async function copy(stdin: AsyncIterable<Uint8Array>, lines: MessageLines, wayOut: WayOut, fatal: (text: string) => never): Promise<void> {
  try {
    for await (const chunk of stdin) {
      lines.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
      if (lines.ended) break;
      await wayOut.drained();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall !== 'read') throw error;
    fatal(`error reading input: ${errorText(error)}`);
  }
  lines.end();
}

function fixLineEnds(config: Configuration, voice: Speaker): FixLineEnds {
  const value = config.get('sendmail_fix_line_endings');
  if (value === 'always' || value === 'strict' || value === 'never') return value;
  return voice.fatal(`invalid sendmail_fix_line_endings value: ${value}`);
}

/** What a record other than content may not hold. */
function oneLine(text: string): string {
  return text.replace(/[\0\r\n]+/g, ' ');
}
