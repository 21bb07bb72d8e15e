/**
 * Thousands of addresses, made up by rule from a fixed seed, to Debian's trivial-rewrite(8) and to ours: the same answers, whatever main.cf says of
 * rewriting, classes, relayhosts, and tables. POSTFIX_DAEMONS names another build of Postfix to be asked.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { noDebianPostfix } from '../debian-postfix.ts';
import { startRewritePair, type Question, type RewritePair } from './rewrite-pair.ts';

const etc = '$config_directory';
const settings: ReadonlyMap<string, readonly string[]> = new Map([
  ['plain', []],
  ['dots', ['append_dot_mydomain = yes', 'remote_header_rewrite_domain = far.test']],
  ['nobang', ['swap_bangpath = no']],
  ['nopercent', ['allow_percent_hack = no', 'append_at_myorigin = no']],
  ['quoted', ['resolve_dequoted_address = no']],
  ['nulls', ['resolve_null_domain = yes', 'resolve_numeric_domain = yes', 'allow_min_user = yes', 'empty_address_recipient = nobody']],
  ['nodest', ['mydestination =']],
  ['stranger', ['mydestination = localhost', 'myorigin = far.test']],
  ['classes', ['virtual_alias_domains = alias.test', 'virtual_mailbox_domains = box.test', 'relay_domains = relay.test', 'relayhost = [smart.test]']],
  ['noutf8', ['smtputf8_enable = no']],
  ['tables', ['recipient_delimiter = +', `transport_maps = texthash:${etc}/transport`, `relocated_maps = texthash:${etc}/relocated`,
    `sender_dependent_relayhost_maps = texthash:${etc}/relayhosts`, `sender_dependent_default_transport_maps = texthash:${etc}/senders`,
    'virtual_alias_domains = alias.test', `relay_domains = relay.test, texthash:${etc}/relays`]],
  ['others', ['recipient_delimiter = -+', 'parent_domain_matches_subdomains = transport_maps', `transport_maps = regexp:${etc}/transport.re, texthash:${etc}/transport`,
    'relayhost = [smart.test]:26', 'local_transport = smtp:[inner]', 'virtual_transport = lmtp:unix:x', 'default_transport = relay:', 'virtual_mailbox_domains = box.test',
    'relay_domains = relay.test', 'show_user_unknown_table_name = no', 'virtual_alias_domains = alias.test', 'address_verify_transport_maps = inline:{ *=verifier: }',
    'address_verify_relayhost = [probes]', 'empty_address_relayhost_maps_lookup_key = nobody', 'sender_dependent_relayhost_maps = inline:{ nobody=[own] s@x.test=DUNNO }']],
  ['probes', ['address_verify_local_transport = smtp:[l]', 'address_verify_relay_transport = smtp:[r]', 'address_verify_default_transport = smtp:[d]:26',
    'address_verify_virtual_transport = smtp:[v]', 'virtual_mailbox_domains = box.test', 'relay_domains = relay.test',
    'address_verify_sender_dependent_relayhost_maps = inline:{ s@x.test=[sv] }', 'address_verify_sender_dependent_default_transport_maps = inline:{ t@y.test=slow: }']],
  ['broken1', ['transport_maps = fail:1temporary']],
  ['broken2', ['relocated_maps = fail:1temporary', 'virtual_alias_domains = alias.test']],
  ['broken3', ['sender_dependent_relayhost_maps = fail:1temporary', 'relay_domains = relay.test']],
  ['broken4', ['relay_domains = fail:1temporary']],
  ['broken5', ['virtual_mailbox_domains = fail:1temporary', 'sender_dependent_default_transport_maps = fail:1temporary']],
]);

const files: Readonly<Record<string, string>> = {
  transport: `joe@example.org smtp:[joe]
joe+a@example.org slow:
example.org :[ex]
.relay.test relay:[sub]
relay.test error:
here.test local:
user@ discard:
* smtp:[star]
.example.org error:no such
b@here.test lmtp:
"a b"@here.test lmtp:[quoted]
`,
  relocated: 'joe@here.test new@place.test\n@relay.test  moved away\na+b@here.test gone\n',
  relayhosts: 's@x.test [own]\n@x.test [dom]\n<> [null]\nt@y.test DUNNO\n',
  senders: 's@x.test slow:\n<> nullxport:[n]\n@y.test DUNNO\nu@z.test error:5.7.1 no\n',
  relays: 'other.test x\nsub.other.test x\n',
  'transport.re': '/^joe@box/ lmtp:[re]\n/^here/ local:\n',
};

const pieces = ['a', 'b', 'joe', '@', '@', '.', '..', '%', '!', '"', '\\', '[', ']', '(', ')', '<', '>', ',', ';', ':', ' ', '\t', '\n', '\r', 'here.test', 'relay.test', 'alias.test', 'box.test',
  'example.org', 'localhost', '127.0.0.1', '[127.0.0.1]', '[192.0.2.7]', '192.0.2.9', '[IPv6:::1]', '[IPv6:2001:db8::1]', '\xe4', '\xc3\xa4', '\xc3\xa4.test', '-', '+', '|', '\x01', '\x7f', '_',
  'x'.repeat(70), 'MAILER-DAEMON', 'a@b', 'sub.relay.test', 'Here.TEST'];
const users = ['joe', 'joe+a', 'a', 'b', 'a+b', 'a b', 'user', '-x', 'x-y', 'postmaster', '', 'MAILER-DAEMON', 'q%r', 'owner-a', 'a@b'];
const domains = ['here.test', 'example.org', 'relay.test', 'other.test', 'box.test', 'alias.test', 'EXAMPLE.ORG', '', 'mx.here.test', '[127.0.0.1]', 'localhost'];
const likely = fc.tuple(fc.constantFrom(...users), fc.constantFrom('@', '@', '@', ''), fc.constantFrom('', 'sub.', 'x.y.'), fc.constantFrom(...domains)).map((parts) => parts.join(''));
const wild = fc.array(fc.constantFrom(...pieces), { maxLength: 12 }).map((parts) => parts.join(''));
// Of nothing but white space theirs dies.
const address = fc.oneof(likely, wild).filter((text) => /[^ \t\r\n]/.test(text));
const question: fc.Arbitrary<Question> = fc.oneof(
  fc.record({ request: fc.constant('rewrite' as const), rule: fc.constantFrom('local' as const, 'remote' as const), address }),
  fc.record({ request: fc.constantFrom('resolve' as const, 'verify' as const), sender: fc.constantFrom('', 's@x.test', 't@x.test', 't@y.test', 'u@z.test', 's+e@x.test', '<>', 'w'), address }),
);

const skip = noDebianPostfix();
let pair: RewritePair;
before(async () => { if (!skip) pair = await startRewritePair(settings, files); });
after(async () => { if (!skip) await pair.stop(); });

for (const [index, setting] of [...settings.keys()].entries()) {
  test(`as Debian's trivial-rewrite: ${setting}`, { skip }, async () => {
    for (const each of fc.sample(question, { seed: 20261121 + index, numRuns: 400 })) {
      const { ours, theirs } = await pair.ask(setting, each);
      assert.equal(ours, theirs, JSON.stringify(each));
    }
  });
}
