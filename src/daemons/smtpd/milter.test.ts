/** What milters are told of an SMTP session, and what becomes of one whose list cannot be had. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { connectInet } from '../../network/connect.ts';
import { Filter, type Script } from '../../network/milter-testing.ts';
import { edit } from '../../protocol/milter/testing.ts';
import { systemClock } from '../../server/clock.ts';
import type { MilterSettings } from '../../protocol/milter/settings.ts';
import { TableTrouble } from '../../tables/table.ts';
import { bench } from './access/testing.ts';
import type { AccessState } from './access/state.ts';
import { SessionMilters, type MilterDesk } from './milter.ts';

const filter = new Filter();
before(() => filter.start());
after(() => filter.stop());

const macroNames = 'j v {daemon_name} _ i {client_addr} {client_name} {client_port} {client_ptr} {client_resolve} {client_connections} {daemon_addr} {daemon_port} {tls_version} {cipher} {cipher_bits} {tls_sni} {cert_subject} {cert_issuer} {auth_type} {auth_authen} {auth_author} {mail_addr} {mail_host} {mail_mailer} {rcpt_addr} {rcpt_host} {rcpt_mailer} {__proto__}';

interface Scene { readonly milters: SessionMilters; readonly state: AccessState; readonly lines: string[] }

function scene(script: Script, { found, state: own = {}, resolve }: { found?: 'trouble'; state?: Partial<AccessState>; resolve?: MilterDesk['resolve'] } = {}): Scene {
  filter.begin(script);
  const { state } = bench({ state: own });
  const lines: string[] = [];
  Object.assign(state, { log: { info: (text: string) => void lines.push(text), warning: (text: string) => void lines.push(`warning: ${text}`) } });
  const settings: MilterSettings = { name: `inet:127.0.0.1:${filter.port}`, connectTimeout: 5, commandTimeout: 5, contentTimeout: 5, protocol: '6', defaultAction: 'tempfail' };
  const macros = { connect: macroNames, hello: '', mail: macroNames, rcpt: macroNames, data: '', endOfHeaders: '', endOfData: '', unknown: '' };
  const desk: MilterDesk = {
    milters: {
      rules: { macros, macroDefaults: new Map() }, list: () => [settings],
      constants: new Map([['{daemon_name}', 'here'], ['{v}', 'V'], ['{j}', 'mx.test']]),
      surroundings: { ticker: systemClock, softBounce: false, warn: (text) => void lines.push(`warning: ${text}`), connect: (_kind, place) => connectInet('127.0.0.1', Number(place.split(':').at(-1)), { ticker: systemClock, timeout: 5 }) },
    },
    hostname: 'mx.test', find: () => found ?? [settings],
    resolve: resolve ?? ((_sender, recipient) => ({ transport: 'smtp', nexthop: 'next.test', recipient, flags: 0 })),
  };
  return { milters: new SessionMilters(desk, state, () => 3), state, lines };
}

const macrosOf = (letter: string): string => filter.heard.find((each) => each.startsWith(`D ${letter}`)) ?? '';

test('macros have the values of the session, and are left out without one', async () => {
  const sasl = { method: 'PLAIN', username: 'joe', sender: undefined };
  const { milters, state } = scene({}, { state: { sasl } });
  assert.equal(await milters.connect(), undefined);
  const { client } = state;
  assert.match(macrosOf('C'), new RegExp(`^D C j=mx\\.test v=V \\{daemon_name\\}=here _=${client.reverseName.replaceAll('.', '\\.')} \\[`));
  assert.match(macrosOf('C'), /\{client_connections\}=3 .*\{auth_type\}=PLAIN \{auth_authen\}=joe /);
  assert.doesNotMatch(macrosOf('C'), /__proto__|tls_version|auth_author/);
  state.sender = 'a b@x.test';
  await milters.mail(['<"a b"@x.test>', 'SIZE=1']);
  assert.match(macrosOf('M'), /\{mail_addr\}="a b"@x\.test \{mail_host\}=next\.test \{mail_mailer\}=smtp /);
  assert.ok(filter.heard.includes('M <"a b"@x.test> SIZE=1'));
  milters.quit();
});

test('a refused recipient is told to filters that want it, with the refusal for an address', async () => {
  const { milters, state } = scene({ steps: 1 << 11 });
  await milters.connect();
  Object.assign(state, { sender: 'a@x.test', recipient: 'b@y.test' });
  assert.equal(await milters.rcpt(['<b@y.test>'], { code: 554, status: '5.7.1', text: '<b@y.test>: Relay access denied' }), undefined);
  assert.match(macrosOf('R'), /\{rcpt_addr\}=Relay access denied \{rcpt_host\}=5\.7\.1 \{rcpt_mailer\}=error$/);
  milters.quit();
});

test('a route that cannot be found out costs a macro, not the session', async () => {
  const { milters, state } = scene({}, { resolve: () => { throw new TableTrouble('rewrite', 'address resolver failure'); } });
  await milters.connect();
  state.sender = 'a@x.test';
  assert.equal(await milters.mail(['<a@x.test>']), undefined);
  assert.doesNotMatch(macrosOf('M'), /mail_addr/);
  milters.quit();
});

test('who has no list because of trouble may come again, and is shown to nobody', async () => {
  const { milters, lines } = scene({}, { found: 'trouble' });
  assert.equal(await milters.connect(), undefined);
  assert.deepEqual(await milters.mail(['<a@x.test>']), { code: 451, status: '4.3.5', text: 'Server configuration problem - try again later' });
  assert.deepEqual(milters.other(), { code: 451, status: '4.3.5', text: 'Server configuration problem - try again later' });
  assert.equal(milters.inspection(), undefined);
  assert.ok(lines.some((line) => /milter-reject/.test(line)));
});

for (const [name, script, want] of [
  ['reject', { answers: { C: [[['r']]] } }, { accept: true, reply: { code: 554, status: undefined, text: 'mx.test ESMTP not accepting connections' } }],
  ['tempfail', { answers: { C: [[['t']]] } }, undefined],
  ['shutdown', { answers: { C: [[['4']]] } }, { accept: true, reply: { code: 421, status: undefined, text: 'mx.test Service unavailable - try again later' } }],
  ['a hold', { answers: { C: [[edit.quarantine('odd'), ['c']]] } }, undefined],
] as const) {
  test(`the greeting after ${name}`, async () => {
    const { milters } = scene(script as Script);
    assert.deepEqual(await milters.connect(), want);
    milters.quit();
  });
}

test('another client (XCLIENT) is another session for filters', async () => {
  const { milters } = scene({});
  await milters.connect();
  milters.restart();
  await milters.connect();
  assert.equal(filter.heard.filter((each) => each.startsWith('C ')).length, 2);
  milters.quit();
});
