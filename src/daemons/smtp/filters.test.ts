/** Filters between us and the world: replies of servers, answers of the name service, delivery statuses; and workarounds for a PIX. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Bench } from '../../delivery/testing.ts';
import type { DeliveryRequest } from '../../ipc/deliver.ts';
import { fakeNameServer } from '../../network/testing.ts';
import type { Service } from '../../server/daemon.ts';
import { FakeServer } from './fake-server.ts';
import type { Script } from './fake-server.ts';
import { pixWorkarounds } from './pix.ts';
import { daemon } from './smtp.ts';

type Agent = Parameters<Bench['deliver']>[0] & Service;

const record = (name: string, type: string, data: unknown): object => ({ name, type, class: 'IN', ttl: 300, data });
const zone = new Map<string, object[]>([
  ['MX two.example', [['10', 'mx1.example'], ['20', 'mx2.example']].map(([preference, exchange]) => record('two.example', 'MX', { preference: Number(preference), exchange }))],
  ['A mx1.example', [record('mx1.example', 'A', '127.0.0.2')]], ['A mx2.example', [record('mx2.example', 'A', '127.0.0.1')]],
  ['A one.example', [record('one.example', 'A', '127.0.0.1')]],
  ['SRV _submission._tcp.srv.example', []],
]);
const dns = await fakeNameServer(({ name, type }) => {
  const answers = zone.get(`${type} ${name}`);
  return answers ? { answers: answers as never } : { rcode: [...zone.keys()].some((key) => key.endsWith(` ${name}`)) ? 'NOERROR' : 'NXDOMAIN' };
});
after(() => dns[Symbol.asyncDispose]());

async function deliver(script: Script, main: string, { to = '[one.example]:PORT', row = 'smtp', ...request }: { to?: string; row?: string } & Partial<DeliveryRequest> = {}, rules = ''): Promise<{ lines: string[]; commands: string[]; asked: string[]; messages: string[]; left: string[] }> {
  const fake = await FakeServer.listen(script);
  const port = String(fake.port);
  const bench = new Bench({
    row: `${row} unix - - n - - ${row}`,
    main: `resolver_configuration = DIR/resolv.conf\nresolver_hosts_file = DIR/hosts\nsmtp_tls_security_level = none\n${main.replaceAll('PORT', port)}`,
  });
  bench.file('resolv.conf', `nameserver 127.0.0.1:${dns.port}\n`);
  bench.file('rules', rules);
  const agent = await daemon.open(bench.tools as never) as Agent;
  try {
    const { lines, left } = await bench.deliver(agent, ['joe@example.org'], { request: { nexthop: to.replaceAll('PORT', port), ...request } });
    return { lines: lines.map((line) => line.replaceAll(`:${port}`, ':25').replace(/^AB\d+: to=.* dsn=/, 'dsn=')), commands: fake.commands, messages: fake.messages, asked: bench.asked, left };
  } finally {
    await agent.drain?.(true);
    bench.remove();
    await fake.close();
  }
}

const sent = 'dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as FAKE)';
const where = 'one.example[127.0.0.1]';

// ---- smtp_reply_filter

for (const [what, script, rules, want] of [
  ['a hard refusal becomes a soft one', { replies: { 'RCPT TO': '550 5.7.1 blocked' } }, '/^5(50) 5(.*)/ 4$1 4$2\n',
    [`${where}:25: replacing server reply "550 5.7.1 blocked" with "450 4.7.1 blocked"`, `dsn=4.7.1, status=deferred (host ${where} said: 450 4.7.1 blocked (in reply to RCPT TO command))`]],
  ['a keyword is another', { replies: { EHLO: '250-server.example\r\n250 X-SIZE 5' } }, '/^250 X-SIZE 5/ 250 SIZE 5\n',
    [`${where}:25: replacing server reply "250 X-SIZE 5" with "250 SIZE 5"`, `dsn=5.3.4, status=bounced (message size 24 exceeds size limit 5 of server ${where})`]],
  ['nothing to replace', {}, '/^999/ 250 fine\n', [sent]],
] as const) test(`replies of the server: ${what}`, async () => {
  assert.deepEqual((await deliver(script as Script, 'smtp_reply_filter = regexp:DIR/rules\n', {}, rules)).lines, want);
});

for (const [what, script, main, problem] of [
  ['the table is out of order', {}, 'smtp_reply_filter = fail:x\n', /fail:x lookup error for 220 server/],
  ['the table is a server', {}, 'smtp_reply_filter = tcp:127.0.0.1:1\n', /does not answer at once/],
] as const) test(`replies of the server: ${what}, and the mail waits`, async () => {
  const { lines, messages, left } = await deliver(script, main);
  assert.equal(lines.at(-1), `dsn=4.3.0, status=deferred (local data error while talking to ${where})`);
  assert.match(lines.join('\n'), problem);
  assert.deepEqual([messages, left], [[], ['joe@example.org']]);
});

test('LMTP has its own filter', async () => {
  const { lines } = await deliver({ perRecipient: true, dots: ['250 2.0.0 stored'] }, 'lmtp_reply_filter = regexp:DIR/rules\n', { row: 'lmtp' }, '/stored$/ 250 2.0.0 kept\n');
  assert.deepEqual(lines.at(-1), 'dsn=2.0.0, status=sent (250 2.0.0 kept)');
});

// ---- smtp_dns_reply_filter

for (const [what, rules, to, want] of [
  ['a server of two is left out', '/ MX 10 mx1/ IGNORE\n', 'two.example:PORT', ['ignoring DNS RR: two.example. 300 IN MX 10 mx1.example.', sent]],
  ['an address is left out', '/ A 127\\.0\\.0\\.1$/ IGNORE\n', '[one.example]:PORT', ['ignoring DNS RR: one.example. 300 IN A 127.0.0.1',
    'dsn=4.7.0, status=deferred (Error looking up name=one.example type=A: DNS reply filter drops all results)']],
  ['a rule that means nothing', '/ A / REJECT\n', '[one.example]:PORT', ['warning: smtp_dns_reply_filter: unknown DNS filter action: "REJECT"',
    'dsn=4.4.3, status=deferred (Error looking up name=one.example type=A: Invalid DNS reply filter syntax)']],
] as const) test(`answers of the name service: ${what}`, async () => {
  assert.deepEqual((await deliver({}, 'smtp_dns_reply_filter = regexp:DIR/rules\n', { to }, rules)).lines, want);
});

// ---- default_delivery_status_filter

for (const [what, main, script, rules, want] of [
  ['a hard status becomes soft', 'default_delivery_status_filter', { replies: { 'RCPT TO': '550 5.7.1 blocked by list' } }, '/^5(\\.7\\.1 .*list.*)/ 4$1\n', /dsn=4\.7\.1, status=deferred \(host .* said: 550 5\.7\.1 blocked by list/],
  ['of its own', 'smtp_delivery_status_filter', { replies: { 'RCPT TO': '450 4.2.1 gone' } }, '/^4(\\.2\\.1 .*)/ 5$1\n', /dsn=5\.2\.1, status=bounced/],
  ['no status in the result', 'smtp_delivery_status_filter', { replies: { 'RCPT TO': '450 4.2.1 gone' } }, '/^4/ nonsense\n', /dsn=4\.2\.1, status=deferred/],
] as const) test(`delivery statuses: ${what}`, async () => {
  assert.match((await deliver(script, `${main} = regexp:DIR/rules\n`, {}, rules)).lines.at(-1)!, want);
});

// ---- fallback relays and services

test('a fallback relay takes what its destination does not take now, and nobody else\'s hard refusals', async () => {
  const relay = await FakeServer.listen();
  try {
    const main = `smtp_fallback_relay = [127.0.0.1]:${relay.port}\n`;
    assert.match((await deliver({ greeting: '421 later' }, main)).lines.at(-1)!, /status=sent/);
    assert.match((await deliver({ replies: { 'RCPT TO': '550 no' } }, main)).lines.at(-1)!, /status=bounced/);
    assert.match((await deliver({}, main, { to: 'two.example:1' })).lines.at(-1)!, /status=sent/);
    assert.equal(relay.messages.length, 2);
  } finally {
    await relay.close();
  }
});

test('a fallback relay that refuses for good is the operator\'s mistake', async () => {
  const relay = await FakeServer.listen({ replies: { 'RCPT TO': '554 5.7.1 relay access denied' } });
  try {
    const { lines } = await deliver({ greeting: '421 later' }, `smtp_fallback_relay = [127.0.0.1]:${relay.port}\n`);
    assert.match(lines.at(-1)!, /dsn=5\.7\.1, status=bounced/);
    const { lines: other } = await deliver({ greeting: '421 later' }, 'smtp_fallback_relay = nowhere.example\n');
    assert.match(other.at(-1)!, /dsn=4\.3\.5, status=deferred/);
  } finally {
    await relay.close();
  }
});

test('where a service is to be found says SRV', async () => {
  const fake = await FakeServer.listen();
  zone.set('SRV _submission._tcp.srv.example', [
    record('_submission._tcp.srv.example', 'SRV', { priority: 20, weight: 0, port: 1, target: 'mx1.example' }),
    record('_submission._tcp.srv.example', 'SRV', { priority: 10, weight: 5, port: fake.port, target: 'one.example' }),
  ]);
  try {
    const { lines } = await deliver({}, 'use_srv_lookup = submission\n', { to: 'srv.example:submission' });
    assert.deepEqual([lines, fake.messages.length], [[sent], 1]);
  } finally {
    await fake.close();
  }
});

// ---- smtp_pix_workarounds

const settings = { words: '', maps: '', threshold: 500, delay: 10 };
for (const [words, age, want] of [
  ['', 1000, undefined],
  ['disable_esmtp,delay_dotcrlf', 1000, { noEsmtp: true, dotDelay: 10, names: 'disable_esmtp delay_dotcrlf' }],
  ['disable_esmtp, DELAY_DOTCRLF', 499, { noEsmtp: true, dotDelay: 0, names: 'disable_esmtp' }],
  ['delay_dotcrlf', 500, { noEsmtp: false, dotDelay: 10, names: 'delay_dotcrlf' }],
  ['something', 1000, { noEsmtp: false, dotDelay: 0, names: '' }],
] as const) test(`PIX: "${words}" after ${age} seconds`, () => {
  assert.deepEqual(pixWorkarounds(words, settings, age), want);
});

for (const [what, main, script, commands, logged] of [
  ['spoken to in old SMTP', '', { greeting: '220 **************** 0 *2 *' }, 'HELO host.example.org', 1],
  ['not when it says a name', '', { greeting: '220 server.example **** ESMTP' }, 'EHLO host.example.org', 0],
  ['not where the operator says no', 'smtp_pix_workarounds =\n', { greeting: '220 ****' }, 'EHLO host.example.org', 0],
  ['not where the table says no', 'smtp_pix_workaround_maps = inline:{ {127.0.0.1 = none} }\n', { greeting: '220 ****' }, 'EHLO host.example.org', 1],
  ['a table out of order is no obstacle', 'smtp_pix_workaround_maps = fail:x\n', { greeting: '220 ****' }, 'HELO host.example.org', 1],
] as const) test(`a server behind a PIX: ${what}`, async () => {
  const { lines, commands: heard } = await deliver(script, `smtp_pix_workaround_threshold_time = 1000s\n${main}`);
  assert.equal(heard[0], commands);
  assert.equal(lines.filter((line) => /^AB\d+: enabling PIX workarounds: .*for one\.example\[127\.0\.0\.1\]:25$/.test(line)).length, logged);
  assert.equal(lines.at(-1), sent);
});
