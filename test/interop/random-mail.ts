/** Mail, tables and settings made up by rule: what the tables of main.cf do with addresses, where nobody thought of it. */
import fc from 'fast-check';
import type { PairCase, PairOptions } from './cleanup-pair.ts';

const users = ['joe', 'ann', 'bob', 'root', 'joe+x', 'ann-y', 'bob+x-y', 'owner-joe', 'joe.smith', '"a b"', '"c+d e"', 'postmaster', '""'];
const domains = ['pair.test', 'host.pair.test', 'a.pair.test', 'b.a.pair.test', 'example.org', 'x.example.org', 'v.test', 'PAIR.test', '[127.0.0.1]', '[192.0.2.1]', 'localhost'];
const user = fc.constantFrom(...users);
const domain = fc.constantFrom(...domains);
const address = fc.oneof(
  { arbitrary: fc.tuple(user, domain).map((parts) => parts.join('@')), weight: 6 },
  { arbitrary: user, weight: 2 },
  { arbitrary: fc.tuple(user, domain, domain).map(([local, via, end]) => `${local}%${via}@${end}`), weight: 1 },
  { arbitrary: fc.tuple(domain, user).map(([first, local]) => `${first}!${local}`), weight: 1 },
);

/** A line of a table: an address or a part of one, and addresses. */
const key = fc.oneof(address, fc.tuple(domain).map(([name]) => `@${name}`), user);
const value = fc.oneof(
  { arbitrary: address, weight: 5 },
  { arbitrary: domain.map((name) => `@${name}`), weight: 1 },
  { arbitrary: fc.array(address, { minLength: 2, maxLength: 4 }).map((list) => list.join(', ')), weight: 1 },
  { arbitrary: address.map((one) => `Some One <${one}>`), weight: 1 },
);
const table = fc.uniqueArray(fc.tuple(key, value), { minLength: 4, maxLength: 14, selector: ([name]) => name.toLowerCase() })
  .map((lines) => lines.map(([name, text]) => `${name} ${text}\n`).join(''));

const tableCount = 12;
export const randomFiles: NonNullable<PairOptions['files']> = Object.fromEntries(fc.sample(table, { seed: 3, numRuns: tableCount }).map((text, index) => [`random${index}`, text]));

const maps = fc.option(fc.nat(tableCount - 1).map((index) => `texthash:@etc@/random${index}`), { freq: 2 });
const settings = fc.record({
  canonical_maps: maps, sender_canonical_maps: maps, recipient_canonical_maps: maps, virtual_alias_maps: maps, sender_bcc_maps: maps, recipient_bcc_maps: maps,
  virtual_alias_domains: fc.constant(''),
  masquerade_domains: fc.option(fc.constantFrom('pair.test', '!a.pair.test pair.test', 'example.org, pair.test', 'a.pair.test')),
  masquerade_exceptions: fc.option(fc.constantFrom('root', 'joe, ann')),
  masquerade_classes: fc.option(fc.constantFrom('envelope_sender', 'envelope_recipient, header_recipient', 'header_sender')),
  canonical_classes: fc.option(fc.constantFrom('envelope_sender', 'envelope_recipient, header_recipient', 'header_sender')),
  recipient_delimiter: fc.constantFrom('', '+', '-', '+-'),
  propagate_unmatched_extensions: fc.option(fc.constantFrom('', 'canonical', 'virtual')),
  enable_original_recipient: fc.option(fc.constantFrom('no')),
  append_dot_mydomain: fc.option(fc.constantFrom('yes')),
  myorigin: fc.option(fc.constantFrom('pair.test')),
  always_bcc: fc.option(fc.constantFrom('archive', 'joe@v.test'), { freq: 4 }),
  virtual_alias_expansion_limit: fc.option(fc.constantFrom('5')),
  virtual_alias_recursion_limit: fc.constantFrom('5', '20'),
}).map((all) => Object.fromEntries(Object.entries(all).filter(([, text]) => text !== null)) as { [name: string]: string });

/** What stands in an address header: mostly well-formed lists, now and then bits of them in any order. */
const entry = fc.oneof(
  { arbitrary: address, weight: 4 },
  { arbitrary: address.map((one) => `Some One <${one}>`), weight: 2 },
  { arbitrary: address.map((one) => `"Quoted, Name" <${one}> (comment (nested))`), weight: 1 },
  { arbitrary: fc.array(address, { maxLength: 3 }).map((list) => `group: ${list.join(', ')};`), weight: 1 },
  { arbitrary: fc.array(fc.constantFrom('joe', 'ann@a.pair.test', '@', '<', '>', ',', ';', ':', '"', '(', ')', '\\', '[', ']', '.', '%', '!', ' ', '\n ', '\t', '\xe4', '|', 'x y', '[1.2.3.4]', '()', '""', '<>', 'a.b'), { maxLength: 9 }).map((bits) => bits.join('')), weight: 3 },
);
const list = fc.array(entry, { minLength: 1, maxLength: 5 }).chain((entries) => fc.constantFrom(', ', ',\n\t', ',', ' ').map((between) => entries.join(between)));
const headerName = fc.constantFrom('From', 'To', 'Cc', 'Reply-To', 'Sender', 'Resent-From', 'Resent-To', 'Resent-Reply-To', 'from', 'TO', 'Apparently-To', 'Errors-To', 'X-Other', 'Return-Receipt-To');
// A continuation line of nothing but white space may end the header in the eyes of some.
const header = fc.tuple(headerName, list).map(([name, text]) => `${name}: ${text.replace(/\n[ \t]+(?=\n|$)/g, '')}\n`);
const headers = fc.array(header, { minLength: 1, maxLength: 5 }).map((fields) => fields.join(''));

// smtpd refuses the null recipient, and a message of which it refused one is not asked about.
const recipient = address.filter((one) => one !== '""');
const mail = fc.record({ sender: fc.oneof({ arbitrary: address, weight: 8 }, { arbitrary: fc.constant(''), weight: 1 }), recipients: fc.array(recipient, { minLength: 1, maxLength: 4 }), headers });

/** A dozen settings, and so many mails for each. */
export function randomMails(seed: number, count: number): PairCase[] {
  return fc.sample(settings, { seed, numRuns: 12 }).flatMap((own, group) =>
    fc.sample(mail, { seed: seed + group + 1, numRuns: count }).map(({ sender, recipients, headers: text }, index) => ({
      name: `made up ${group}.${index}`, settings: own, sender, recipients, message: `${text}Subject: x\n\nbody\n`,
    })));
}
