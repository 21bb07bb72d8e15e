import assert from 'node:assert/strict';
import fs from 'node:fs';
import { userInfo } from 'node:os';
import { after, test } from 'node:test';
import { Bench } from '../../delivery/testing.ts';
import { requestFlag } from '../../ipc/deliver.ts';
import { unescaped } from './attributes.ts';
import { daemon } from './pipe.ts';

/** Root runs commands as somebody else, everybody else as himself. */
const user = process.getuid!() === 0 ? 'games' : userInfo().username;
const benches: Bench[] = [];
after(() => benches.forEach((bench) => bench.remove()));

async function open(args: string, main = '', service = 'maildrop') {
  const bench = new Bench({ row: `${service} unix - n n - - pipe ${args}`, main: `recipient_delimiter = +\n${main}` });
  fs.mkdirSync('out');
  fs.chmodSync('out', 0o777);
  bench.file('stub', '#!/bin/sh\nfor word; do printf "[%s]" "$word"; done > DIR/out/words\ncat > DIR/out/message\n'.replaceAll('DIR', bench.directory), { mode: 0o755 });
  benches.push(bench);
  return { bench, agent: await daemon.open(bench.tools) as Parameters<Bench['deliver']>[0] };
}

const words: [name: string, argv: string, recipients: string[], want: string, flags?: string][] = [
  ['uucp', 'DIR/stub -r -n -z -a$sender - $nexthop!rmail ($recipient)', ['joe@a.example', 'ann@a.example'], '[-r][-n][-z][-asender@example.com][-][gw!rmail][(joe@a.example)][(ann@a.example)]'],
  ['cyrus', 'DIR/stub -e -m ${extension} ${user}', ['Joe+Box@a.example', 'ann@a.example'], '[-e][-m][Box][][Joe][ann]'],
  ['$(name), mailbox, domain, size, queue_id', 'DIR/stub $(mailbox) ${domain} $size $queue_id', ['Joe+Box@A.example'], '[Joe+Box][A.example][SIZE][AB1]'],
  ['flags u and h fold', 'DIR/stub $recipient $user $domain $nexthop', ['Joe+Box@A.example'], '[joe+box@a.example][joe][a.example][gw]', 'uh'],
  ['flag q quotes', 'DIR/stub $recipient $mailbox', ['joe smith@a.example'], '["joe smith"@a.example][joe smith]', 'q'],
  ['without q', 'DIR/stub $recipient', ['joe smith@a.example'], '[joe smith@a.example]'],
  ['client and sasl', 'DIR/stub $client_address $client_hostname $client_helo $client_port $client_protocol $sasl_method $sasl_sender $sasl_username $envid', ['joe@a.example'], '[192.0.2.1][mx][helo][25][ESMTP][PLAIN][s][u][env]'],
  ['a dollar, and a shell\'s characters', 'DIR/stub $$ $recipient', ['$(id)`x`;|@a.example'], '[$][$(id)`x`;|@a.example]'],
  ['braces keep blanks', 'DIR/stub {a b $user}', ['joe@a.example'], '[a b joe]'],
  ['conditions', 'DIR/stub ${extension?has} ${extension:none}', ['joe+x@a.example', 'ann@a.example'], '[has][][][none]'],
  ['original_recipient', 'DIR/stub $original_recipient', ['joe@a.example'], '[info@a.example]'],
];

for (const [name, argv, recipients, want, flags = ''] of words) {
  test(`words of a command: ${name}`, async () => {
    const { bench, agent } = await open(`flags=${flags} user=${user} argv=${argv}`);
    const { lines, reply } = await bench.deliver(agent, recipients.map((address) => ({ address, originalAddress: 'info@a.example' })), {
      request: {
        nexthop: 'gw', clientAddress: '192.0.2.1', clientName: 'mx', clientHelo: 'helo', clientPort: '25', clientProtocol: 'ESMTP',
        saslMethod: 'PLAIN', saslSender: 's', saslUsername: 'u', dsnEnvid: 'env', dataSize: 1234,
      },
    });
    assert.equal(reply.status, 0, lines.join('\n'));
    assert.equal(bench.read('out/words'), want.replace('SIZE', '1234'));
  });
}

const messages: [flags: string, more: string, want: string][] = [
  ['', '', 'Subject: x\n\n.dot\nFrom me\n'],
  ['R', '', 'Return-Path: <sender@example.com>\nSubject: x\n\n.dot\nFrom me\n'],
  ['DO', '', 'X-Original-To: info@a.example\nDelivered-To: joe@a.example\nSubject: x\n\n.dot\nFrom me\n'],
  ['B', '', 'Subject: x\n\n.dot\nFrom me\n\n'],
  ['.>', 'eol=\\r\\n', 'Subject: x\r\n\r\n..dot\r\n>From me\r\n'],
  ['', 'eol=\\0', 'Subject: x.dotFrom me'],
];

for (const [flags, more, want] of messages) {
  test(`message with flags=${flags} ${more}`, async () => {
    const { bench, agent } = await open(`flags=${flags} ${more} user=${user} argv=DIR/stub`);
    await bench.deliver(agent, [{ address: 'joe@a.example', originalAddress: 'info@a.example' }], { content: 'Subject: x\n\n.dot\nFrom me\n' });
    assert.equal(bench.read('out/message'), want);
  });
}

test('flag F: a From_ line; the null sender is replaced everywhere', async () => {
  const { bench, agent } = await open(`flags=FR user=${user} null_sender=nobody@example.org argv=DIR/stub $sender`);
  await bench.deliver(agent, ['joe@a.example'], { request: { sender: '' } });
  assert.equal(bench.read('out/words'), '[nobody@example.org]');
  assert.match(bench.read('out/message'), /^From nobody@example\.org {2}.{24}\nReturn-Path: <nobody@example\.org>\nSubject/);
});

test('by default the null sender is MAILER-DAEMON', async () => {
  const { bench, agent } = await open(`user=${user} argv=DIR/stub $sender`);
  await bench.deliver(agent, ['joe@a.example'], { request: { sender: '' } });
  assert.equal(bench.read('out/words'), '[MAILER-DAEMON]');
});

const outcomes: [name: string, args: string, want: string][] = [
  ['success', 'argv=/bin/true', 'dsn=2.0.0, status=sent (delivered via maildrop service)'],
  ['success with output', 'argv=/bin/echo accepted by x', 'dsn=2.0.0, status=sent (delivered via maildrop service (accepted by x))'],
  ['EX_TEMPFAIL', 'argv=/bin/sh -c {exit 75}', 'dsn=4.3.0, status=deferred (temporary failure)'],
  ['EX_NOUSER', 'argv=/bin/sh -c {echo gone; exit 67}', 'dsn=5.1.1, status=bounced (user unknown. Command output: gone )'],
  ['an unknown status', 'argv=/bin/sh -c {exit 3}', 'dsn=5.3.0, status=bounced (Command died with status 3: "/bin/sh")'],
  ['a missing program', 'argv=/no/such', 'dsn=4.3.0, status=deferred (temporary failure. Command output: pipe: fatal: pipe_command: execvp /no/such: No such file or directory )'],
  ['an unknown macro', 'argv=/bin/true $recipent', 'dsn=4.3.5, status=deferred (mail system configuration error)'],
  ['too large', 'size=10 argv=/bin/true', 'dsn=5.2.3, status=bounced (message too large)'],
];

for (const [name, args, want] of outcomes) {
  test(`outcome: ${name}`, async () => {
    const { bench, agent } = await open(`user=${user} ${args}`);
    const { lines, reply } = await bench.deliver(agent, ['joe@a.example'], { request: { dataSize: 11 } });
    assert.ok(lines.at(-1)!.endsWith(want) && lines.at(-1)!.includes('relay=maildrop'), lines.join('\n'));
    assert.equal(reply.status, want.includes('deferred') ? -1 : 0);
  });
}

test('an unknown macro is named', async () => {
  const { bench, agent } = await open(`user=${user} argv=/bin/true $recipent`);
  const { lines } = await bench.deliver(agent, ['joe@a.example']);
  assert.equal(lines[0], `warning: file ${bench.directory}/master.cf: service maildrop: unknown macro name: "recipent"`);
});

const broken: [name: string, args: string, want: RegExp][] = [
  ['flag= for flags=', 'flag=R user=games argv=/bin/true', /^error: unknown attribute name: flag=R \(did you mean flags=R\?\) \(\/etc\/postfix\/master\.cf, line 1\)$/],
  ['an unknown flag', 'flags=Z user=games argv=/bin/true', /^error: unknown flag: Z .*master\.cf, line 1/],
  ['no user', 'argv=/bin/true', /^error: missing user= command-line attribute \(\/etc\/postfix\/master\.cf, line 1\)$/],
  ['no command', 'user=games', /^error: missing argv= command-line attribute/],
  ['root', 'user=root argv=/bin/true', /^error: user= command-line attribute specifies root privileges/],
  ['root\'s group', 'user=games:root argv=/bin/true', /^error: user= command-line attribute specifies privileged group id 0/],
  ['the mail owner', 'user=mail argv=/bin/true', /^error: user= command-line attribute specifies mail system owner mail \(/],
  ['nobody known', 'user=no-such-user argv=/bin/true', /^error: get_service_attr: unknown username: no-such-user/],
  ['no known group', 'user=games:no-such-group argv=/bin/true', /^error: get_service_attr: unknown group: no-such-group/],
];

for (const [name, args, want] of broken) {
  test(`a row that makes no sense: ${name}`, async () => {
    const { bench, agent } = await open(args);
    const { lines, reply, left } = await bench.deliver(agent, ['joe@a.example']);
    assert.match(lines[0]!, want);
    assert.ok(lines.at(-1)!.endsWith('dsn=4.3.5, status=deferred (mail system configuration error)'));
    assert.deepEqual([reply.status, reply.hop.status, left], [-1, '4.3.5', ['joe@a.example']]);
  });
}

test('flag D needs one recipient per delivery, and finds loops', async () => {
  const { bench, agent } = await open(`flags=D user=${user} argv=/bin/true`);
  const two = await bench.deliver(agent, ['joe@a.example', 'ann@a.example']);
  assert.equal(two.lines[0], "warning: pipe flag `D' requires maildrop_destination_recipient_limit = 1");
  assert.deepEqual(two.left.length, 2);
  const loop = await bench.deliver(agent, ['joe@a.example'], { content: 'Delivered-To: JOE@a.example\n\n' });
  assert.ok(loop.lines[0]!.endsWith('dsn=5.4.6, status=bounced (mail forwarding loop for joe@a.example)'), loop.lines[0]);
});

test('a probe runs nothing', async () => {
  const { bench, agent } = await open(`user=${user} argv=DIR/stub`);
  const { lines } = await bench.deliver(agent, ['joe@a.example'], { request: { flags: requestFlag.mtaVerify } });
  assert.ok(lines[0]!.endsWith(`status=deliverable (delivers to command: ${bench.directory}/stub)`), lines[0]);
  assert.deepEqual(fs.readdirSync('out'), []);
});

test('directory= is where the command runs', async () => {
  const { bench, agent } = await open(`user=${user} directory=DIR/out argv=/bin/pwd`);
  const { lines } = await bench.deliver(agent, ['joe@a.example']);
  assert.ok(lines[0]!.endsWith(`(delivered via maildrop service (${bench.directory}/out))`), lines[0]);
});

for (const [text, want] of [['\\r\\n', '\r\n'], ['\\015\\012', '\r\n'], ['\\t\\\\x\\q', '\t\\xq'], ['plain', 'plain'], ['\\1234', 'S4'], ['x\\', 'x']] as const) {
  test(`escapes: ${text}`, () => assert.equal(unescaped(text), want));
}
