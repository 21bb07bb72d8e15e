/**
 * A day of a mail system in a few seconds: the same configuration and the same clients for ours and for Debian's Postfix, so that the
 * programs which read logs and queues can be shown both.
 *
 * Accepted, rejected for many reasons, deferred, bounced, expired; local, virtual, pipe, smtp, error, discard; clients that go away,
 * talk nonsense or make too many mistakes. Everything on loopback.
 */
import { spawn } from 'node:child_process';
import { chownSync, mkdirSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import type { Recipient } from '../accounts.ts';
import { eventually } from '../instance.ts';
import { masterRows } from '../master-rows.ts';

/** A mail system under test: ours or Debian's. */
export interface Side {
  readonly directory: string;
  readonly port: number;
  log(): string;
  lines(pattern: RegExp): string[];
  /** A command of this side, as root, with its configuration. */
  command(name: string, argv: readonly string[], input?: string): Promise<Said>;
}

export interface Said { readonly status: number; readonly out: string; readonly said: string }

export const sceneMasterCf = (port: number, narrow: number, account: string): string => `127.0.0.1:${port} inet n - n - - smtpd
127.0.0.1:${narrow} inet n - n - - smtpd
  -o smtpd_client_event_limit_exceptions=
  -o smtpd_client_connection_count_limit=1
  -o smtpd_client_message_rate_limit=1
  -o smtpd_client_recipient_rate_limit=2
${masterRows('pickup cleanup qmgr rewrite bounce defer trace smtp showq error retry discard local virtual anvil')}
program unix - n n - - pipe flags=R user=${account} argv=/bin/cat
broken unix - n n - - pipe flags=R user=${account} argv=/bin/sh -c {echo no room; exit 75}
refused unix - n n - - pipe flags=R user=${account} argv=/bin/sh -c {echo no such place; exit 67}
`;

export interface SinkPort { readonly port: number; readonly closed: number }

export const sceneMainCf = (directory: string, { port, closed }: SinkPort, { uid, gid, name }: Recipient): string => `
myhostname = host.example.test
mydestination = local.test, $myhostname
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = reject_unauth_destination
inet_interfaces = loopback-only
inet_protocols = ipv4
fast_flush_domains =
default_privs = ${name}
alias_maps = texthash:${directory}/etc/aliases
alias_database =
local_recipient_maps = $alias_maps
virtual_mailbox_domains = virtual.test
virtual_mailbox_maps = inline:{v@virtual.test=v/}
virtual_minimum_uid = 1
virtual_mailbox_base = ${directory}/boxes
virtual_uid_maps = static:${uid}
virtual_gid_maps = static:${gid}
relay_domains = relay.test, piped.test, broken.test, refused.test, closed.test, gone.test, later.test, nowhere.test
transport_maps = texthash:${directory}/etc/transport
relocated_maps = inline:{moved@local.test=new@elsewhere.test}
strict_rfc821_envelopes = yes
disable_vrfy_command = yes
smtpd_helo_required = yes
message_size_limit = 20000
smtpd_timeout = 2s
smtpd_hard_error_limit = 4
smtpd_soft_error_limit = 10
smtpd_error_sleep_time = 0
smtpd_recipient_limit = 5
smtpd_helo_restrictions = reject_invalid_helo_hostname
smtpd_sender_restrictions = reject_non_fqdn_sender, check_sender_access texthash:${directory}/etc/senders
smtpd_recipient_restrictions = reject_non_fqdn_recipient, check_recipient_access texthash:${directory}/etc/recipients, warn_if_reject check_helo_access inline:{warned.example.test=REJECT}, check_helo_access inline:{spam.example.test=REJECT}
smtpd_data_restrictions = reject_unauth_pipelining
smtp_connection_cache_on_demand = no
smtp_tls_security_level = none
smtp_log_tls_feature_status = no
smtpd_forbid_unauth_pipelining = no
smtp_helo_timeout = 5s
smtp_connect_timeout = 5s
`;

/** Tables, and places that the recipient's account may write to. */
export function furnish(directory: string, { port, closed }: SinkPort, { uid, gid }: Recipient): void {
  for (const name of ['boxes', 'files']) {
    mkdirSync(`${directory}/${name}`);
    chownSync(`${directory}/${name}`, uid, gid);
  }
  const write = (name: string, text: string): void => writeFileSync(`${directory}/etc/${name}`, text);
  write('aliases', `file ${directory}/files/file
command "|cat >/dev/null"
failing "|echo it does not work; exit 65"
waiting "|echo come back later; exit 75"
several file, command, ok@relay.test
moved file
root file
postmaster file
`);
  const sink = `smtp:[127.0.0.1]:${port}`;
  write('transport', `relay.test ${sink}
sender.test ${sink}
piped.test program:
broken.test broken:
refused.test refused:
closed.test smtp:[127.0.0.1]:${closed}
gone.test error:5.1.2 this domain has gone
later.test retry:4.3.2 not now
nowhere.test discard:silently
`);
  write('senders', 'bad@sender.test REJECT we do not like you\nslow@sender.test 450 4.7.1 come back later\nblocked.test 554 5.7.1 Service unavailable; Client host [127.0.0.1] blocked using list.example.test\n');
  write('recipients', 'held@relay.test HOLD please wait\nnone@relay.test DISCARD\ncopied@relay.test REDIRECT ok@relay.test\ndeferred@relay.test DEFER busy\nnoted@relay.test WARN look at this\ninformed@relay.test INFO just so\ndead@relay.test 521 5.7.0 go away\n');
}

/** Answers by the recipient's name. */
export function openFickleSink(): Promise<{ port: number; close(): Promise<void> }> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket.on('close', () => sockets.delete(socket)).on('error', () => undefined));
    serve(socket);
  });
  const close = (): Promise<void> => new Promise((resolve) => {
    for (const socket of sockets) socket.destroy();
    server.close(() => resolve());
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve({ port: (server.address() as net.AddressInfo).port, close })));
}

function serve(socket: net.Socket): void {
  let rest = '';
  let inData = false;
  let fate = '';
  const say = (line: string): void => void socket.write(`${line}\r\n`);
  say('220 sink.example.test ESMTP');
  socket.on('data', (chunk) => {
    rest += chunk.toString('latin1');
    for (let end = rest.indexOf('\r\n'); end >= 0; end = rest.indexOf('\r\n')) {
      const line = rest.slice(0, end);
      rest = rest.slice(end + 2);
      if (inData) {
        if (line !== '.') continue;
        inData = false;
        if (fate === 'lost') socket.destroy();
        else say(fate === 'refused' ? '554 5.6.0 content is not welcome' : '250 2.0.0 taken');
        continue;
      }
      const recipient = /^RCPT TO:<([a-z]+)@/i.exec(line)?.[1];
      if (recipient !== undefined) fate = recipient;
      if (recipient === 'defer') say('450 4.2.1 mailbox is busy');
      else if (recipient === 'bounce') say('550 5.1.1 no such user');
      else if (/^QUIT/i.test(line)) socket.end('221 2.0.0 bye\r\n');
      else if (/^DATA/i.test(line)) {
        inData = true;
        say('354 go on');
      } else say(/^EHLO/i.test(line) ? '250-sink.example.test\r\n250-PIPELINING\r\n250 ENHANCEDSTATUSCODES' : '250 2.0.0 ok');
    }
  });
}

const complete = /^(?:[0-9]{3}-[^\n]*\n)*[0-9]{3}(?: [^\n]*)?\n/;

/** Commands one by one, each after the reply to the one before; `+` in front: do not wait. Ends with QUIT, or (`drop`) by going away, or (`wait`) when the server does. */
export function talk(port: number, commands: readonly string[], end: 'quit' | 'drop' | 'wait' = 'quit'): Promise<string> {
  return new Promise((resolve) => {
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
    const waiting = [...commands, ...(end === 'quit' ? ['QUIT'] : [])];
    let [input, heard] = ['', ''];
    const next = (): void => {
      for (;;) {
        const command = waiting.shift();
        if (command === undefined) {
          if (end === 'drop') socket.destroy();
          return;
        }
        socket.write(`${command.replace(/^\+/, '').replaceAll('\n', '\r\n')}\r\n`, 'latin1');
        if (!command.startsWith('+')) return;
      }
    };
    socket.on('error', () => undefined).on('close', () => resolve(heard));
    socket.on('data', (chunk: Buffer) => {
      heard += chunk.toString('latin1');
      input += chunk.toString('latin1');
      for (let found = complete.exec(input); found !== null; found = complete.exec(input)) {
        input = input.slice(found[0].length);
        next();
      }
    });
  });
}

const hello = 'EHLO client.example.test';
const content = 'From: joe@sender.test\nTo: you\nSubject: hello\nMessage-ID: <1@sender.test>\nDate: Sat, 21 Nov 2026 12:00:00 +0100\n\nhello\n.';
const mail = (sender: string, ...recipients: readonly string[]): string[] => [`MAIL FROM:<${sender}>`, ...recipients.map((each) => `RCPT TO:<${each}>`), 'DATA', content];

/** One by one: the log shall have them in this order. */
const sessions: readonly (readonly [commands: readonly string[], end?: 'quit' | 'drop' | 'wait'])[] = [
  [[hello, ...mail('joe@sender.test', 'file@local.test', 'command@local.test')]],
  [[hello, ...mail('joe@sender.test', 'failing@local.test')]],
  [[hello, ...mail('joe@sender.test', 'waiting@local.test')]],
  [[hello, ...mail('joe@sender.test', 'several@local.test')]],
  [[hello, ...mail('joe@sender.test', 'v@virtual.test')]],
  [[hello, ...mail('joe@sender.test', 'p@piped.test')]],
  [[hello, ...mail('joe@sender.test', 'p@broken.test')]],
  [[hello, ...mail('joe@sender.test', 'p@refused.test')]],
  [[hello, ...mail('joe@sender.test', 'ok@relay.test')]],
  [[hello, ...mail('joe@sender.test', 'defer@relay.test')]],
  [[hello, ...mail('joe@sender.test', 'bounce@relay.test')]],
  [[hello, ...mail('joe@sender.test', 'refused@relay.test')]],
  [[hello, ...mail('joe@sender.test', 'lost@relay.test')]],
  [[hello, ...mail('joe@sender.test', 'x@closed.test')]],
  [[hello, ...mail('joe@sender.test', 'x@gone.test')]],
  [[hello, ...mail('joe@sender.test', 'x@later.test')]],
  [[hello, ...mail('joe@sender.test', 'x@nowhere.test')]],
  [[hello, ...mail('', 'file@local.test')]],
  [[hello, ...mail('joe@sender.test', 'held@relay.test')]],
  [[hello, ...mail('joe@sender.test', 'none@relay.test')]],
  [[hello, ...mail('joe@sender.test', 'copied@relay.test')]],
  [[hello, ...mail('joe@sender.test', 'noted@relay.test', 'informed@relay.test')]],
  [['HELO warned.example.test', ...mail('joe@sender.test', 'ok@relay.test')]],
  // refused
  [[hello, 'MAIL FROM:<joe@sender.test>', 'RCPT TO:<nobody@local.test>', 'RCPT TO:<x@virtual.test>', 'RCPT TO:<moved@local.test>']],
  [[hello, 'MAIL FROM:<joe@sender.test>', 'RCPT TO:<x@elsewhere.example>', 'RCPT TO:<x>']],
  [[hello, 'MAIL FROM:<bad@sender.test>', 'RCPT TO:<ok@relay.test>']],
  [[hello, 'MAIL FROM:<slow@sender.test>', 'RCPT TO:<ok@relay.test>']],
  [[hello, 'MAIL FROM:<x@blocked.test>', 'RCPT TO:<ok@relay.test>']],
  [[hello, 'MAIL FROM:<joe>', 'RCPT TO:<ok@relay.test>']],
  [[hello, 'MAIL FROM:<joe@sender.test>', 'RCPT TO:<deferred@relay.test>']],
  [[hello, 'MAIL FROM:<joe@sender.test>', 'RCPT TO:<dead@relay.test>'], 'wait'],
  [['HELO spam.example.test', 'MAIL FROM:<joe@sender.test>', 'RCPT TO:<ok@relay.test>']],
  [['HELO -bad-.name', 'MAIL FROM:<joe@sender.test>', 'RCPT TO:<ok@relay.test>']],
  [['MAIL FROM:<joe@sender.test>']],
  [[hello, 'MAIL FROM:<joe@sender.test> SIZE=1000000']],
  [[hello, 'MAIL FROM:<joe@sender.test>', 'RCPT TO:<ok@relay.test>', 'DATA', `${'x'.repeat(900)}\n`.repeat(30) + '.']],
  [[hello, 'MAIL FROM:joe@sender.test', 'RCPT TO:<ok@relay.test>']],
  [[hello, 'MAIL FROM:<joe@sender.test>', ...[1, 2, 3, 4, 5, 6].map(() => 'RCPT TO:<ok@relay.test>')]],
  [[hello, 'VRFY x', 'RCPT TO:<ok@relay.test>', 'DATA']],
  // clients that behave badly
  [[], 'drop'],
  [[hello], 'drop'],
  [[hello, 'MAIL FROM:<joe@sender.test>'], 'drop'],
  [[hello, 'MAIL FROM:<joe@sender.test>', 'RCPT TO:<ok@relay.test>'], 'drop'],
  [[hello, 'MAIL FROM:<joe@sender.test>', 'RCPT TO:<nobody@local.test>'], 'drop'],
  [[hello, 'MAIL FROM:<joe@sender.test>', 'RCPT TO:<ok@relay.test>', 'DATA', '+Subject: half'], 'drop'],
  [[hello, 'NONSENSE', 'NONSENSE', 'NONSENSE', 'NONSENSE', 'NONSENSE'], 'wait'],
  [[hello, 'MAIL FROM:<joe@sender.test>', ...[1, 2, 3, 4, 5].map((number) => `RCPT TO:<nobody${number}@local.test>`)], 'wait'],
  [['GET / HTTP/1.1'], 'wait'],
  [[hello, 'Subject: this is not a mail'], 'wait'],
  [[hello, 'MAIL FROM:<joe@sender.test>', 'RCPT TO:<ok@relay.test>', '+DATA\nSubject: too early\n\nx\n.'], 'wait'],
  [[hello, 'RSET', 'NOOP', 'HELP', 'AUTH PLAIN xxxx', 'STARTTLS']],
  [[hello], 'wait'],
];

/** Everything, and what the commands of an administrator add to the log. Resolves when nothing is on its way any more. */
export async function liveADay(side: Side, narrow: number): Promise<void> {
  for (const [commands, end] of sessions) await talk(side.port, commands, end);
  await crowd(narrow);
  await side.command('sendmail', ['-f', 'joe@sender.test', 'file@local.test', 'ok@relay.test'], 'Subject: from a user\n\nhello\n');
  await side.command('sendmail', ['-f', 'joe@sender.test', 'x@gone.test', 'x@later.test'], 'Subject: x\n\n');
  await side.command('sendmail', ['-t'], 'To: ok@relay.test\nSubject: from root\n\nhello\n');
  await side.command('sendmail', ['-bv', 'ok@relay.test'], '');
  await atRest(side);
  const queue = (await side.command('postqueue', ['-j'])).out.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as { queue_id: string; queue_name: string; recipients: { address: string }[] });
  const idOf = (address: string): string => {
    const found = queue.find(({ recipients }) => recipients.some((each) => each.address === address));
    if (found === undefined) throw new Error(`${address} is not in the queue of ${side.directory}: ${JSON.stringify(queue)}\n${side.log()}`);
    return found.queue_id;
  };
  await side.command('postsuper', ['-e', idOf('x@closed.test'), '-h', idOf('p@broken.test'), '-H', idOf('held@relay.test'), '-r', idOf('x@later.test'), '-d', idOf('waiting@local.test')]);
  await side.command('postqueue', ['-f']);
  await eventually('the expired message comes back', () => side.lines(/status=(force-)?expired/).length > 0);
  await eventually('the released one is delivered', () => side.lines(/to=<held@relay.test>.* status=sent/).length > 0);
  await eventually('the requeued one is tried again', () => side.lines(/to=<x@later.test>.* status=deferred/).length > 1);
  await atRest(side);
}

/** A second connection, a second message and a third recipient are too many here. */
async function crowd(port: number): Promise<void> {
  const first = net.connect({ port, host: '127.0.0.1' }).on('error', () => undefined);
  await new Promise((resolve) => first.once('data', resolve));
  await talk(port, [], 'wait');
  await new Promise((resolve) => first.end('QUIT\r\n').once('close', resolve));
  await talk(port, [hello, ...mail('joe@sender.test', 'ok@relay.test'), 'MAIL FROM:<joe@sender.test>']);
  await talk(port, [hello, 'MAIL FROM:<joe@sender.test>', 'RCPT TO:<ok@relay.test>', 'RCPT TO:<ok@relay.test>', 'RCPT TO:<ok@relay.test>']);
}

/** Nothing is active or incoming, and the log has not grown since. */
async function atRest(side: Side): Promise<void> {
  let before = '';
  await eventually('the mail system is at rest', async () => {
    const { out } = await side.command('postqueue', ['-j']);
    const log = side.log();
    const still = log === before && !/"queue_name": "(active|incoming|maildrop)"/.test(out);
    before = log;
    return still;
  });
}

export function runCommand(file: string, argv: readonly string[], environment: NodeJS.ProcessEnv, input = ''): Promise<Said> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, argv, { env: environment, stdio: ['pipe', 'pipe', 'pipe'] });
    const texts = { out: '', said: '' };
    child.stdout.on('data', (chunk: Buffer) => { texts.out += chunk.toString('latin1'); });
    child.stderr.on('data', (chunk: Buffer) => { texts.said += chunk.toString('latin1'); });
    child.stdin.on('error', () => undefined).end(input, 'latin1');
    child.on('error', reject);
    child.on('close', (status) => resolve({ status: status ?? -1, ...texts }));
  });
}
