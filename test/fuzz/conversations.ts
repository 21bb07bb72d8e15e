/** What an SMTP client may say to the servers of configurations.ts, in and out of order. A number is a conversation, always the same one. */
import type { Dice } from '../bad-input/random-dialogue.ts';

/** Lines that go in one packet, each of which gets one reply; or the content of a message, said only after a 354. */
export type Turn = { readonly kind: 'lines'; readonly lines: readonly string[] } | { readonly kind: 'content'; readonly text: string };

export interface Conversation {
  /** The client's address; nobody else has it. */
  readonly address: string;
  /** Whom it speaks for. */
  readonly other: string;
  readonly turns: readonly Turn[];
}

const locals = [
  'joe', 'joe', 'joe', 'ann', 'ann', 'bob', 'info', 'nobody', 'nobody', 'JOE', 'joe+x', 'joe+list', 'joe-x', 'ann=y', 'postmaster', 'Postmaster', 'double-bounce', 'MAILER-DAEMON', 'all', 'old', "o'brien", 'a.b', '.a', 'a..b', 'a.', '"joe"', '"a b"', '"a@b"', '"joe@dialog.test"', '"joe%elsewhere.test"', '""', '"', 'joe%elsewhere.test', 'joe%dialog.test', 'joe%relay.test', 'out%elsewhere.test%relay.test', 'joe%', '%joe', 'elsewhere.test!joe', 'relay.test!bob', 'dialog.test!joe', 'a!b!c', '!x', 'x!', 'out@elsewhere.test', 'joe@dialog.test', '-opt', '/etc/passwd', '|cmd', ':include:/x', '\\joe', '"\\"x"', '(c)joe', 'joe(c)', '\xc3\xa9', 'a\xff', 'x y', 'a,b', 'a;b', 'a:b', 'a<b', '+x', '+', 'joe++', 'root+',
  `${'x'.repeat(70)}`,
];
const domains = [
  'dialog.test', 'dialog.test', 'dialog.test', 'sub.dialog.test', 'alias.test', 'catch.test', 'box.test', 'sub.box.test', 'relay.test', 'relay.test', 'sub.relay.test', 'elsewhere.test', 'elsewhere.test', 'sub.elsewhere.test', 'other.test', 'x.other.test', 'gone.test', 'bounced.test', 'DIALOG.Test', 'mx.dialog.test', 'localhost.dialog.test', 'localhost', 'mx',
  'host.names.test', 'exchanged.names.test', 'listed.names.test', 'nomail.names.test', 'text.names.test', 'backup.names.test', 'www.served.test', 'served.test', 'missing.names.test', 'bad.test', 'dialog.test.', 'elsewhere.test.', '.', '..', '.dialog.test', 'a..b', '-bad.test', 'bad-.test', 'b_d.test', '_x.test', 'a.-b.test', '1.2.3.4', '127.0.0.1', '1.2', '[127.0.0.1]', '[10.0.0.1]', '[10.0.0.9]', '[1.2.3]', '[1.2.3.4.5]', '[300.1.1.1]', '[IPv6:::1]', '[IPv6:1::2::3]', '[ipv6:::1]', '[]', '[x]', '[127.0.0.1', '127.0.0.1]', '[dialog.test]', '#123', '', 'm\xc3\xbcller.test', 'xn--mller-kva.test', 'x\xff.test', `${'d'.repeat(64)}.test`, 'dialog.test:25', 'a b.test', 'com',
];

function address(dice: Dice): string {
  const roll = dice.next();
  const plain = `${dice.one(locals)}@${dice.one(domains)}`;
  if (roll < 0.45) return `${dice.one(locals.slice(0, 18))}@${dice.one(domains.slice(0, 26))}`;
  if (roll < 0.8) return plain;
  if (roll < 0.87) return dice.one(locals);
  if (roll < 0.91) return `@${dice.one(domains)}:${plain}`;
  if (roll < 0.93) return `@${dice.one(domains)},@${dice.one(domains)}:${plain}`;
  if (roll < 0.95) return `${plain}@${dice.one(domains)}`;
  if (roll < 0.96) return `${dice.one(domains)}!${plain}`;
  if (roll < 0.97) return `@${dice.one(domains)}`;
  return dice.one(['', '@', '@@', '<joe@dialog.test>', 'joe@@dialog.test', 'joe @dialog.test', 'joe@ dialog.test', 'joe @ dialog.test', 'joe@dialog.test, ann@box.test', 'joe@dialog.test (comment)', 'Joe <joe@dialog.test>', '"joe@dialog.test"', '@dialog.test:', '@dialog.test:joe', ':joe@dialog.test', 'joe@dialog.test,', ';', ',', 'group:joe@dialog.test;', 'joe\\@dialog.test', '"joe"x@dialog.test', 'joe."x y"@dialog.test', '"joe".x@dialog.test']);
}

function path(dice: Dice): string {
  const text = address(dice);
  const roll = dice.next();
  if (roll < 0.9) return `<${text}>`;
  if (roll < 0.94) return text;
  return dice.one([`<${text}`, `${text}>`, `<<${text}>>`, ` <${text}>`, `< ${text} >`, `<${text}> `, `<${text}>x`, `"Joe" <${text}>`]);
}

const plain = /^<[a-z+]+@[a-z]+\.test>$/;
const mailParameters = [' SIZE=10', ' SIZE=500', ' SIZE=99999999999', ' SIZE=', ' SIZE=-1', ' BODY=8BITMIME', ' BODY=7bit', ' BODY=BINARYMIME', ' SMTPUTF8', ' SMTPUTF8', ' SMTPUTF8', ' RET=FULL', ' RET=x', ' ENVID=a', ' ENVID=', ' FOO=bar', ' X', ' size=5 body=8bitmime', ' XVERP', ' SMTPUTF8=x', ' RET=HDRS RET=FULL'];
const recipientParameters = [' NOTIFY=NEVER', ' NOTIFY=SUCCESS,FAILURE', ' NOTIFY=', ' NOTIFY=NEVER,DELAY', ' ORCPT=rfc822;joe@dialog.test', ' ORCPT=x', ' ORCPT=rfc822;a+2Bb', ' ORCPT=utf-8;x', ' FOO', ' NOTIFY=x', ' ORCPT=;x'];
const helloNames = ['client.test', 'client.test', 'client.test', 'mx.client.test', 'CLIENT.test', 'localhost', 'a', '[10.0.0.1]', '[10.0.0.1', '10.0.0.1', '[IPv6:::1]', '[ipv6:1:2]', 'dialog.test', 'mx.dialog.test', 'bad.test', 'host.names.test', 'missing.names.test', 'text.names.test', 'exchanged.names.test', 'nomail.names.test', 'a_b.test', '-x.test', 'x..test', '.test', 'test.', 'client.test.', 'a b', '', 'm\xc3\xbcller.test', 'x\xff', `${'h'.repeat(64)}.test`, '#1', '[]', '[1.2.3]', '1.2.3', 'a!b', "a'b", '<x>', 'a@b', '\x01x', 'a%b', '0x7f.1', '*', 'client.test (x)'];

function withParameters(dice: Dice, address: string, share: number, parameters: readonly string[]): string {
  const more = dice.happens(share) ? dice.one(parameters) : '';
  return more === ' SMTPUTF8' || address === '<>' || plain.test(address) ? address + more : address;
}
const mail = (dice: Dice): string => `${dice.one(['MAIL FROM:', 'MAIL FROM:', 'MAIL FROM:', 'mail from:', 'MAIL FROM: '])}${withParameters(dice, dice.happens(0.15) ? '<>' : path(dice), 0.25, mailParameters)}`;
const rcpt = (dice: Dice): string => `${dice.one(['RCPT TO:', 'RCPT TO:', 'RCPT TO:', 'rcpt to:', 'RCPT TO: '])}${withParameters(dice, path(dice), 0.15, recipientParameters)}`;
const hello = (dice: Dice): string => `${dice.one(['EHLO', 'EHLO', 'EHLO', 'HELO'])} ${dice.one(helloNames)}`;
const etrn = (dice: Dice): string => `ETRN ${dice.one(['relay.test', 'sub.relay.test', 'dialog.test', 'other.test', '@relay.test', '#relay', '', 'a b', 'elsewhere.test', '-x', 'relay.test.', '#-x', '10.0.0.1', 'RELAY.test'])}`;
const vrfy = (dice: Dice): string => `VRFY ${dice.happens(0.5) ? path(dice) : address(dice)}`;
const others = ['RSET', 'RSET', 'NOOP', 'NOOP x', 'EXPN joe', 'QUIT', 'RSET x', 'QUIT x', 'FOO', '', 'MAIL', 'RCPT', 'MAIL FROM', 'RCPT FROM:<joe@dialog.test>', 'MAIL TO:<joe@dialog.test>', 'MAIL FROM:', 'RCPT TO:', 'VRFY', 'ETRN', 'EHLO', 'HELO', 'DATA x', 'XNOOP', 'STARTTLS', 'BDAT', 'BDAT x', 'GET / HTTP/1.0', 'CONNECT x', 'Subject: x', 'XFORWARD NAME=x', 'XCLIENT', 'TURN', 'SEND FROM:<joe@dialog.test>', 'DATA', 'MAIL FROM <joe@dialog.test>', 'RCPT TO <joe@dialog.test>', 'MAIL FROM : <joe@dialog.test>', 'BDAT 0 LAST', 'BDAT 5 x', 'XCLIENT FOO=x', 'XCLIENT NAME', 'NOOP\t', ' NOOP', 'DATA '];
const contents = ['', 'Subject: x\r\n\r\nbody\r\n', 'no header\r\n', `X: y\r\n\r\n${'0123456789'.repeat(30)}\r\n`, 'Received: x\r\n\r\n..dot\r\n', `Subject: long\r\n\r\n${'line\r\n'.repeat(300)}`];

const names = ['friend.names.test', 'client.test', 'elsewhere.test', 'bad.test', 'www.served.test', 'host.names.test', 'nowhere.names.test', 'mx.dialog.test', 'unknown', '[UNAVAILABLE]', '[UNAVAILABLE]', '[TEMPUNAVAIL]', 'relay.test', 'CLIENT.test', 'exchanged.names.test'];

function introduction(dice: Dice, other: string, logins: boolean): string {
  const words = [`ADDR=${other}`];
  if (dice.happens(0.9)) words.push(`NAME=${dice.one(names)}`);
  if (dice.happens(0.5)) words.push(`REVERSE_NAME=${dice.one(names)}`);
  if (dice.happens(0.2)) words.push(`HELO=${dice.one(['told.test', '[UNAVAILABLE]', 'told', 'bad.test'])}`);
  if (dice.happens(0.15)) words.push(`PROTO=${dice.one(['SMTP', 'ESMTP'])}`);
  if (dice.happens(0.25) && logins) words.push(`LOGIN=${dice.one(['joe', 'ann@dialog.test', 'nobody', '[UNAVAILABLE]'])}`);
  return `XCLIENT ${words.join(' ')}`;
}

/** `number`: from 0 to 65535, makes the addresses. `logins`: it may tell who logged in. */
export function makeConversation(dice: Dice, number: number, logins: boolean): Conversation {
  const tail = `${number >> 8 & 255}.${(number & 255)}`;
  const address = `127.${1 + dice.below(3)}.${tail}`;
  const other = `10.${1 + dice.below(4)}.${tail}`;
  const turns: Turn[] = [];
  const say = (...lines: string[]): void => void turns.push({ kind: 'lines', lines });
  const mistaken = (share: number): void => {
    if (dice.happens(share)) say(dice.one([...others, etrn(dice), vrfy(dice), etrn(dice), vrfy(dice), rcpt(dice), mail(dice), hello(dice)]));
  };
  if (dice.happens(0.6)) say(introduction(dice, other, logins));
  if (!dice.happens(0.08)) say(hello(dice));
  mistaken(0.1);
  for (let messages = 1 + dice.below(4); messages > 0; messages--) {
    const envelope: string[] = [];
    if (!dice.happens(0.04)) envelope.push(mail(dice));
    for (let recipients = 1 + dice.below(5); recipients > 0; recipients--) envelope.push(rcpt(dice));
    if (dice.happens(0.15)) say(...envelope);
    else for (const line of envelope) { say(line); mistaken(0.06); }
    mistaken(0.08);
    if (dice.happens(0.75)) {
      say('DATA');
      turns.push({ kind: 'content', text: dice.one(contents) });
    }
    mistaken(0.15);
    if (dice.happens(0.5)) say('RSET');
    if (dice.happens(0.06)) say(introduction(dice, other, logins));
  }
  if (dice.happens(0.2)) say(vrfy(dice));
  if (dice.happens(0.25)) say(etrn(dice));
  say('QUIT');
  return { address, other, turns };
}
