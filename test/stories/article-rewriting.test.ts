/**
 * What the articles promise of addresses: hosts that hide behind their domain, root excepted; bob who writes as sales@example.org; virtual domains that
 * each have a webmaster of their own; a user who moved, and whoever writes there is told where. And mail that a content filter brings back.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import test, { type TestContext } from 'node:test';
import { openSink } from '../faults/sink.ts';
import { eventually, freePort, Instance } from '../instance.ts';
import { masterRows } from '../master-rows.ts';
import { submit } from '../submit.ts';

interface House {
  readonly instance: Instance;
  readonly port: number;
  /** Texts of messages that left, oldest first. */
  readonly left: string[];
}

/** A mail system that sends everything, local mail too, to a server that keeps it. */
async function open(t: TestContext, mainCf: string, files: Readonly<Record<string, string>> = {}, moreRows = ''): Promise<House> {
  const left: string[] = [];
  const sink = await openSink((text) => left.push(text));
  t.after(() => sink.close());
  const port = await freePort();
  const instance = await Instance.create({ masterCf: `127.0.0.1:${port} inet n - n - - smtpd\n${masterRows('pickup cleanup qmgr rewrite bounce defer trace smtp error retry anvil')}\n${moreRows}` });
  t.after(() => instance.stop());
  instance.mainCf(`inet_protocols = ipv4
mynetworks = 127.0.0.0/8
relayhost = [127.0.0.1]:${sink.port}
local_transport = smtp:[127.0.0.1]:${sink.port}
local_recipient_maps =
alias_maps =
${mainCf.replaceAll('@etc@', `${instance.directory}/etc`)}`);
  for (const [name, text] of Object.entries(files)) writeFileSync(`${instance.directory}/etc/${name}`, text);
  await instance.start();
  return { instance, port, left };
}

const headersOf = (text: string): Map<string, string> => new Map(text.slice(0, text.indexOf('\r\n\r\n')).replace(/\r\n[ \t]+/g, ' ').split('\r\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]));

const message = (from: string, to = 'you@outside.test'): string => `From: ${from}\nTo: ${to}\nReply-To: ${from}\nMessage-ID: <1@x>\nDate: Sat, 21 Nov 2026 12:00:00 +0100\nSubject: hello\n\nText.\n`;

test('masquerading, root excepted', async (t) => {
  const { instance, port, left } = await open(t, 'mydomain = home.test\nmyorigin = $mydomain\nmasquerade_domains = $mydomain\nmasquerade_exceptions = root\n');
  for (const [sender, from, want, envelope] of [
    ['joe@pc1.home.test', 'Joe <joe@pc1.home.test>', 'Joe <joe@home.test>', 'joe@home.test'],
    ['root@pc1.home.test', 'root@pc1.home.test (cron)', 'root@pc1.home.test (cron)', 'root@pc1.home.test'],
    ['joe@elsewhere.test', 'joe@elsewhere.test', 'joe@elsewhere.test', 'joe@elsewhere.test'],
  ] as const) {
    const queueId = await submit({ port, sender, recipients: ['you@outside.test'], text: message(from) });
    await eventually('it has left', () => instance.lines(new RegExp(`${queueId}: to=.*status=sent`))[0]);
    assert.match(instance.lines(new RegExp(`qmgr.*${queueId}: from=`))[0]!, new RegExp(`from=<${envelope}>`));
    const headers = headersOf(left.at(-1)!);
    assert.deepEqual([headers.get('From'), headers.get('Reply-To'), headers.get('To')], [want, want, 'you@outside.test']);
  }
});

test('bob writes as sales@example.org', async (t) => {
  const { instance, port, left } = await open(t, 'mydomain = home.test\nmyorigin = $mydomain\nmydestination = $mydomain\ncanonical_maps = texthash:@etc@/canonical\n', { canonical: 'bob\tsales@example.org\n' });
  const queueId = await submit({ port, sender: 'bob', recipients: ['you@outside.test'], text: message('Bob <bob@home.test>', 'you@outside.test, bob') });
  await eventually('it has left', () => instance.lines(new RegExp(`${queueId}: to=.*status=sent`))[0]);
  assert.match(instance.lines(new RegExp(`qmgr.*${queueId}: from=`))[0]!, /from=<sales@example\.org>/);
  const headers = headersOf(left[0]!);
  assert.deepEqual([headers.get('From'), headers.get('To')], ['Bob <sales@example.org>', 'you@outside.test, sales@example.org']);
});

test('virtual domains have webmasters of their own', async (t) => {
  const { instance, port } = await open(t, 'myorigin = home.test\nmydestination = home.test\nrecipient_delimiter = +\nvirtual_alias_maps = texthash:@etc@/virtual\n', {
    virtual: 'one.test\tanything\nwebmaster@one.test\tann\npostmaster@one.test\tpostmaster\ntwo.test\tanything\nwebmaster@two.test\tbob, eve@outside.test\n@two.test\tbob\n',
  });
  for (const [recipient, want] of [
    ['webmaster@one.test', ['ann@home.test']],
    ['Webmaster+urgent@one.test', ['ann+urgent@home.test']],
    ['webmaster@two.test', ['bob@home.test', 'eve@outside.test']],
    ['anyone@two.test', ['bob@home.test']],
  ] as const) {
    const queueId = await submit({ port, sender: 'stranger@outside.test', recipients: [recipient], text: message('stranger@outside.test', recipient) });
    const lines = await eventually(`mail for ${recipient} has left`, () => {
      const found = instance.lines(new RegExp(`${queueId}: to=.*status=sent`));
      return found.length === want.length ? found : undefined;
    });
    assert.deepEqual(lines.map((line) => /to=<([^>]*)>, orig_to=<([^>]*)>/.exec(line)!.slice(1)).sort(), want.map((each) => [each, recipient]).sort());
  }
  await assert.rejects(submit({ port, sender: 'stranger@outside.test', recipients: ['nobody@one.test'], text: 'x\n' }), /5\.1\.1 <nobody@one\.test>: Recipient address rejected: User unknown in virtual alias table/);
});

test('a user moved: the sender is told the new address', async (t) => {
  const { instance, port, left } = await open(t, 'myorigin = home.test\nmydestination = home.test\nrelocated_maps = texthash:@etc@/relocated\nvirtual_alias_maps = inline:{ { team@home.test = moved@home.test } }\n', { relocated: 'moved@home.test\tnew@elsewhere.test\n' });
  await assert.rejects(submit({ port, sender: 'friend@outside.test', recipients: ['moved@home.test'], text: 'x\n' }), /5\.1\.6 <moved@home\.test>: Recipient address rejected: User has moved to new@elsewhere\.test/);
  // Nobody could know at the door where this one goes.
  const queueId = await submit({ port, sender: 'friend@outside.test', recipients: ['team@home.test'], text: message('friend@outside.test', 'team@home.test') });
  const line = await eventually('it came back', () => instance.lines(new RegExp(`error.*${queueId}: to=<moved@home\\.test>, orig_to=<team@home\\.test>`))[0]);
  assert.match(line, /dsn=5\.1\.6, status=bounced \(User has moved to new@elsewhere\.test\)/);
  await eventually('the report has left', () => left[0]);
  assert.equal(headersOf(left[0]!).get('To'), 'friend@outside.test');
  assert.match(left[0]!, /<moved@home\.test> \(expanded from <team@home\.test>\): User has moved to\r\n {4}new@elsewhere\.test/);
});

test('a content filter takes the mail and brings it back: addresses are mapped once', async (t) => {
  const filtered: string[] = [];
  const filter = await openSink((text) => filtered.push(text));
  t.after(() => filter.close());
  const back = await freePort();
  const { instance, port, left } = await open(t, `mydomain = home.test
myorigin = home.test
content_filter = scan:[127.0.0.1]:${filter.port}
receive_override_options = no_address_mappings
virtual_alias_maps = inline:{ { joe@home.test = joe@home.test, copy@outside.test } }
virtual_alias_domains =
mydestination = home.test
always_bcc = archive@home.test
canonical_maps = inline:{ { bob@home.test = sales@example.org } }
`, {}, `scan unix - - n - 10 smtp
127.0.0.1:${back} inet n - n - 10 smtpd
  -o content_filter=
  -o receive_override_options=no_unknown_recipient_checks,no_header_body_checks,no_milters
`);
  const first = await submit({ port, sender: 'bob@home.test', recipients: ['joe@home.test'], text: message('bob@home.test', 'joe@home.test') });
  await eventually('the filter has it', () => filtered[0]);
  const toFilter = await eventually('its delivery is logged', () => { const found = instance.lines(new RegExp(`${first}: to=`)); return found.length > 0 ? found : undefined; });
  assert.deepEqual(toFilter.map((line) => /to=<([^>]*)>, relay=127\.0\.0\.1\[127\.0\.0\.1\]:([0-9]+)/.exec(line)!.slice(1)), [['joe@home.test', String(filter.port)]]);
  assert.equal(headersOf(filtered[0]!).get('From'), 'bob@home.test');
  const second = await submit({ port: back, sender: 'bob@home.test', recipients: ['joe@home.test'], text: `${filtered[0]!.replaceAll('\r\n', '\n')}\n` });
  const lines = await eventually('it has left', () => {
    const found = instance.lines(new RegExp(`${second}: to=.*status=sent`));
    return found.length === 3 ? found : undefined;
  });
  assert.deepEqual(lines.map((line) => /to=<([^>]*)>/.exec(line)![1]).sort(), ['archive@home.test', 'copy@outside.test', 'joe@home.test']);
  assert.match(instance.lines(new RegExp(`qmgr.*${second}: from=`))[0]!, /from=<sales@example\.org>/);
  assert.equal(headersOf(left[0]!).get('From'), 'sales@example.org');
});
