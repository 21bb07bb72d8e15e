/**
 * Mail between ours and a mail system that is no Postfix, both ways: what every such pair is told. Ours has mailboxes for `home.test` and two
 * domains more, and takes mail for its peer, to which rows of master.cf go in different ways.
 */
import assert from 'node:assert/strict';
import { chownSync, mkdirSync } from 'node:fs';
import { test } from 'node:test';
import { instanceAccounts } from '../../tools/accounts.mjs';
import { SmtpClient } from '../faults/smtp-client.ts';
import { eventually, Instance } from '../instance.ts';
import { storedIn } from '../maildir.ts';
import { masterRows } from '../master-rows.ts';
import type { Pair } from '../tls-scene.ts';

/** The other one. */
export interface MailPeer {
  readonly port: number;
  stored(localPart: string): string[];
  log(): string;
  again(): Promise<void>;
  end(): Promise<void>;
}

export interface Letter {
  readonly sender: string;
  readonly recipients: readonly string[];
  /** Lines end in LF. */
  readonly text: string;
  /** Behind MAIL and behind each RCPT. */
  readonly mail?: string;
  readonly rcpt?: string;
}

/** Hand it over at a port; the last reply. */
export async function hand(port: number, { sender, recipients, text, mail = '', rcpt = '' }: Letter): Promise<string> {
  const client = await SmtpClient.meet(port);
  try {
    for (const line of [`MAIL FROM:<${sender}>${mail}`, ...recipients.map((each) => `RCPT TO:<${each}>${rcpt}`), 'DATA']) {
      const reply = await client.command(line);
      assert.ok(reply.code < 400, `${line}: ${reply.text}`);
    }
    const reply = await client.content(Buffer.from(`${text.replace(/^\./gm, '..')}.\n`.replaceAll('\n', '\r\n'), 'latin1'));
    assert.equal(reply.code, 250, reply.text);
    return reply.text;
  } finally {
    await client.quit();
  }
}

/** Everything that transport could spoil: dots, long lines, bytes, what looks like an envelope line, and empty lines at the end. */
export const difficultBody = `.
..
.. two
.dot at the start
${'x'.repeat(998)}
.${'y'.repeat(996)}
From here the mailbox begins
8 bits: \xe9\xfc\x80\xff, a tab\t, and blanks at the end  \t
=20 stays, and so does =
\x01\x02\x1b[31m\x7f

.

`;
/** Less than what the peers take, and more than any buffer has. */
const largeBody = Array.from({ length: 10_000 }, (_, line) => `${'.'.repeat(line % 4)}line ${line} \xe4 ${'#'.repeat(line % 120)}\n`).join('');
const eightBit = 'MIME-Version: 1.0\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: 8bit\n';
export const letter = (subject: string, body = difficultBody): string => `From: <ann@home.test>\nTo: somebody\nSubject: ${subject}\nDate: Sat, 21 Nov 2026 12:00:00 +0100\nMessage-ID: <${subject}@client.test>\n${eightBit}\n${body}`;
export const bodyOf = (message: string): string => message.slice(message.indexOf('\n\n') + 2);

export const homeDomains = ['home.test', 'clear.test', 'tls.test', 'data.test'] as const;
const people = ['ann', 'bob', 'j\xc3\xb6rg'] as const;

export interface OddWay { readonly recipient: string; readonly option: string; readonly port: number }

export class Home {
  readonly house: Instance;
  readonly port: number;

  private constructor(house: Instance, port: number) {
    this.house = house;
    this.port = port;
  }

  /** `odd`: recipients that go by a row of their own, with an option, to another port. */
  static async create(port: number, peerPort: number, peerDomain: string, pair: Pair, odd: readonly OddWay[] = []): Promise<Home> {
    const { uid, gid } = instanceAccounts();
    const rows = {
      plain: 'smtp_tls_security_level=none', encrypted: 'smtp_tls_security_level=encrypt', kept: 'smtp_tls_security_level=none -o smtp_connection_cache_destinations=127.0.0.1',
      reused: 'smtp_tls_security_level=encrypt -o smtp_tls_connection_reuse=yes -o smtp_connection_cache_destinations=127.0.0.1',
    };
    const mailboxes = homeDomains.flatMap((domain) => people.map((name) => `{${name}@${domain} = ${name}/}`)).join(' ');
    // main.cf is written as Unicode text.
    const inUnicode = Buffer.from(mailboxes, 'latin1').toString('utf8');
    const house = await Instance.create({
      mainCf: `inet_protocols = ipv4
mydestination =
alias_maps =
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions = check_recipient_access inline:{ {busy@home.test = 450 4.2.1 not now} }
smtpd_peername_lookup = no
smtp_dns_support_level = disabled
smtp_connection_cache_on_demand = no
smtp_connection_cache_time_limit = 60s
connection_cache_ttl_limit = 60s
smtp_tls_security_level = may
smtpd_tls_security_level = may
smtpd_tls_chain_files = ${pair.key}, ${pair.certificate}
minimal_backoff_time = 1s
queue_run_delay = 1s
message_size_limit = 5000000
notify_classes =
virtual_mailbox_domains = ${homeDomains.join(', ')}
virtual_mailbox_maps = inline:{ ${inUnicode} {gone@home.test = gone/} {busy@home.test = busy/} }
virtual_uid_maps = static:${uid}
virtual_gid_maps = static:${gid}
virtual_minimum_uid = 1
transport_maps = inline:{ {gone@home.test = lost:} {${peerDomain} = smtp:[127.0.0.1]:${peerPort}} ${Object.keys(rows).map((name) => `{${name}.${peerDomain} = ${name}:[127.0.0.1]:${peerPort}}`).join(' ')} ${odd.map(({ recipient, port: other }, at) => `{${recipient} = odd${at}:[127.0.0.1]:${other}}`).join(' ')} }
`,
      masterCf: `127.0.0.1:${port} inet n - n - - smtpd
lost unix - n n - - virtual -o virtual_mailbox_maps=
${Object.entries(rows).map(([name, option]) => `${name} unix - - n - - smtp -o ${option}`).join('\n')}
${odd.map(({ option }, at) => `odd${at} unix - - n - - smtp -o ${option}`).join('\n')}
${masterRows('cleanup qmgr rewrite bounce defer trace smtp error retry discard virtual anvil tlsmgr')}
`,
    });
    house.mainCf(`virtual_mailbox_base = ${house.directory}/mail\n`);
    mkdirSync(`${house.directory}/mail`);
    chownSync(`${house.directory}/mail`, uid, gid);
    return new Home(house, port);
  }

  /** Hand it to ours; the queue id. */
  async give(each: Letter): Promise<string> {
    return /queued as ([0-9A-Za-z]+)/.exec(await hand(this.port, each))![1]!;
  }

  stored(name: string): string[] {
    return storedIn(`${this.house.directory}/mail/${name}`);
  }

  /** Address, TLS and connection use, dsn and status of each delivery. */
  verdicts(queueId: string): string[] {
    return this.house.lines(new RegExp(`${queueId}: to=.*status=`)).map((line) => / to=<([^>]*)>.*?(?:, conn_use=(\d+))?, delay=.*dsn=([^,]*), status=(\w+)/.exec(line)!.slice(1, 5).filter((part) => part !== undefined).join(' ')).sort();
  }

  settled(queueId: string, count: number): Promise<string[]> {
    return eventually(`${queueId} is settled`, () => (this.verdicts(queueId).length >= count ? this.verdicts(queueId) : undefined));
  }

  /** The one message of this subject; somebody may have got it twice. */
  async arrived(name: string, subject: string): Promise<string> {
    return onlyOne(await eventually(`"${subject}" for ${name}`, () => some(withSubject(this.stored(name), subject))));
  }

  /** A message whose text has all these words. */
  said(name: string, ...words: readonly string[]): Promise<string> {
    return eventually(`a message to ${name} with ${words.join(' and ')}`, () => this.stored(name).find((text) => words.every((word) => text.includes(word))));
  }
}

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));
const some = <T>(list: readonly T[]): readonly T[] | undefined => (list.length > 0 ? list : undefined);
const withSubject = (messages: readonly string[], subject: string): string[] => messages.filter((text) => text.slice(0, text.indexOf('\n\n')).includes(`\nSubject: ${subject}\n`));

function onlyOne(messages: readonly string[]): string {
  assert.equal(messages.length, 1);
  return messages[0]!;
}

/** The message as the peer has it. */
export async function arrivedThere(peer: MailPeer, name: string, subject: string): Promise<string> {
  return onlyOne(await eventually(`"${subject}" for ${name} at the peer`, () => some(withSubject(peer.stored(name), subject))));
}

export interface Pairing {
  readonly peer: MailPeer;
  readonly home: Home;
}

export interface PairOptions {
  readonly skip: string | false;
  readonly domain: string;
  /** Ask it to deliver what waits there. */
  readonly tryAgain: () => Promise<unknown> | void;
  /** To whom connections are kept. */
  readonly kept: readonly string[];
  /** What the peer says to RCPT for nobody. */
  readonly refusal: RegExp;
  /** What the peer writes in the first line of `Received:`, by domain of ours. */
  readonly received: Readonly<Record<string, RegExp>>;
}

/** What every peer must hold; each pair has `joe` and `sue` there, and `ann` and `bob` here. */
export function tellTales(pairing: () => Pairing, { skip, domain, refusal, received, tryAgain, kept }: PairOptions): void {
  const give = (recipients: readonly string[], subject: string, more: Partial<Letter> = {}): Promise<string> =>
    pairing().home.give({ sender: 'ann@home.test', recipients: recipients.map((name) => (name.includes('@') ? name : `${name}@${domain}`)), text: letter(subject), mail: ' BODY=8BITMIME', ...more });
  const giveThere = (recipients: readonly string[], subject: string, more: Partial<Letter> = {}): Promise<string> =>
    hand(pairing().peer.port, { sender: `joe@${domain}`, recipients, text: letter(subject), mail: ' BODY=8BITMIME', ...more });

  /** The peer tries what waits there, until we have it; by itself it would take longer than a test may. */
  const waited = async (name: string, subject: string): Promise<void> => {
    const isHere = (): boolean => withSubject(pairing().home.stored(name), subject).length > 0;
    for (let tries = 0; tries < 10 && !isHere(); tries++) {
      await tryAgain();
      // What is under way is let go on.
      for (let turn = 0; turn < 100 && !isHere(); turn++) await pause(30);
    }
  };

  test('from us: every byte of the content arrives, for each of several recipients once', { skip }, async () => {
    const { home, peer } = pairing();
    const queueId = await give(['joe', 'sue'], 'to-two');
    assert.deepEqual(await home.settled(queueId, 2), [`joe@${domain} 2.0.0 sent`, `sue@${domain} 2.0.0 sent`]);
    for (const name of ['joe', 'sue']) assert.equal(bodyOf(await arrivedThere(peer, name, 'to-two')), difficultBody);
    // The log says so when the last verdict has been written down.
    await eventually('it is removed', () => home.house.lines(new RegExp(`${queueId}: removed`)).length === 1);
  });

  for (const [to, form] of Object.entries(received)) test(`to us: every byte of the content arrives, at ${to}`, { skip }, async () => {
    const { home } = pairing();
    await giveThere([`ann@${to}`, `bob@${to}`], `here-${to}`);
    for (const name of ['ann', 'bob']) {
      const message = await home.arrived(name, `here-${to}`);
      assert.equal(bodyOf(message), difficultBody);
      assert.match(message, form);
    }
  });

  test('from us: one recipient is refused, the others get it, and the sender is told in the peer\'s words', { skip }, async () => {
    const { home, peer } = pairing();
    const queueId = await give(['joe', 'nobody', 'sue'], 'not-all');
    assert.deepEqual((await home.settled(queueId, 3)).map((verdict) => verdict.replace(/ [25]\.\d+\.\d+ /, ' ')), [`joe@${domain} sent`, `nobody@${domain} bounced`, `sue@${domain} sent`]);
    for (const name of ['joe', 'sue']) await arrivedThere(peer, name, 'not-all');
    const report = await home.said('ann', 'Undelivered Mail Returned to Sender', `<nobody@${domain}>`, 'Subject: not-all');
    assert.match(report.replace(/\s+/g, ' '), refusal);
    assert.ok(!report.includes(`<joe@${domain}>`));
  });

  test('to us: one recipient is refused, the others get it, and the peer\'s report comes to the sender', { skip }, async () => {
    const { home } = pairing();
    await giveThere(['ann@home.test', 'nobody@home.test', 'bob@home.test'], 'not-all-here', { sender: 'bob@home.test' });
    for (const name of ['ann', 'bob']) await home.arrived(name, 'not-all-here');
    const report = await home.said('bob', 'nobody@home.test', '550 5.1.1 <nobody@home.test>: Recipient address rejected: User unknown in virtual mailbox table');
    assert.match(report, /^Return-Path: <>\n/);
  });

  test('to us: what we took and cannot deliver goes back to the peer\'s user, with a null sender', { skip }, async () => {
    const { home, peer } = pairing();
    await giveThere(['gone@home.test'], 'comes-back');
    const report = await eventually('the report is stored there', () => peer.stored('joe').find((text) => text.includes('<gone@home.test>: unknown user: "gone@home.test"')));
    assert.match(report, /\nSubject: Undelivered Mail Returned to Sender\n/);
    assert.ok(home.house.lines(/: from=<>, /).length > 0);
  });

  test('to us: a recipient that is refused for now waits at the peer, and is served later', { skip }, async () => {
    const { home, peer } = pairing();
    await giveThere(['ann@home.test', 'busy@home.test'], 'have-patience');
    await home.arrived('ann', 'have-patience');
    await eventually('the peer was told', () => peer.log().includes('450 4.2.1 <busy@home.test>: Recipient address rejected: not now'));
    assert.deepEqual(home.stored('busy'), []);
    home.house.mainCf('smtpd_recipient_restrictions =\n');
    home.house.signal('SIGHUP');
    await waited('busy', 'have-patience');
    await home.arrived('busy', 'have-patience');
  });

  test('from us: the peer is away; mail waits, and is stored once when it is back', { skip }, async () => {
    const { home, peer } = pairing();
    await peer.end();
    const queueId = await give(['joe', 'sue'], 'later');
    await eventually('it is deferred', () => home.verdicts(queueId).filter((verdict) => verdict.endsWith(' 4.4.1 deferred')).length >= 2);
    await peer.again();
    await eventually('it is delivered', () => home.verdicts(queueId).filter((verdict) => verdict.endsWith(' 2.0.0 sent')).length === 2);
    for (const name of ['joe', 'sue']) assert.equal(bodyOf(await arrivedThere(peer, name, 'later')), difficultBody);
  });

  test('to us: we are away; the peer\'s mail waits, and is stored once when we are back', { skip }, async () => {
    const { home } = pairing();
    await home.house.end();
    await giveThere(['ann@home.test'], 'were-away');
    await home.house.start();
    await waited('ann', 'were-away');
    assert.equal(bodyOf(await home.arrived('ann', 'were-away')), difficultBody);
  });

  for (const recipient of kept) test(`from us: several messages over one connection, to ${recipient}`, { skip }, async () => {
    const { home, peer } = pairing();
    const uses: string[] = [];
    for (const number of [1, 2, 3]) {
      uses.push(...await home.settled(await give([recipient], `${recipient}-${number}`), 1));
      assert.equal(bodyOf(await arrivedThere(peer, recipient.split('@')[0]!, `${recipient}-${number}`)), difficultBody);
    }
    assert.deepEqual(uses, ['', '2 ', '3 '].map((use) => `${recipient} ${use}2.0.0 sent`));
    // Where what was kept is gone with the peer, the next message does not suffer for it. (A session of Exim's lives on.)
    await peer.end();
    await peer.again();
    const [last] = await home.settled(await give([recipient], `${recipient}-4`), 1);
    assert.ok(last === `${recipient} 2.0.0 sent` || last === `${recipient} 4 2.0.0 sent`, last);
    assert.equal(bodyOf(await arrivedThere(peer, recipient.split('@')[0]!, `${recipient}-4`)), difficultBody);
  });

  test('a large message, both ways', { skip }, async () => {
    const { home, peer } = pairing();
    assert.deepEqual(await home.settled(await give(['joe'], 'large', { text: letter('large', largeBody) }), 1), [`joe@${domain} 2.0.0 sent`]);
    assert.ok(bodyOf(await arrivedThere(peer, 'joe', 'large')) === largeBody);
    for (const to of Object.keys(received).slice(0, 1)) {
      await giveThere([`ann@${to}`], `large-${to}`, { text: letter(`large-${to}`, largeBody) });
      assert.ok(bodyOf(await home.arrived('ann', `large-${to}`)) === largeBody);
    }
  });

  test('from us: a message that is larger than the peer says it takes is not sent, and comes back', { skip }, async () => {
    const { home } = pairing();
    const queueId = await give(['joe'], 'too-large', { text: letter('too-large', 'a line of a large message\n'.repeat(50_000)) });
    assert.deepEqual(await home.settled(queueId, 1), [`joe@${domain} 5.3.4 bounced`]);
    await home.said('ann', 'exceeds size limit 1048576 of server', 'Subject: too-large');
  });
}
