/**
 * Queue files that `postsuper -r` put into the maildrop, taken up by Debian's pickup(8) and cleanup(8) and by ours: what becomes of each record is the
 * same, and so is what is left in the maildrop.
 */
import assert from 'node:assert/strict';
import { chownSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { before, test } from 'node:test';
import { getpwnam } from '../../src/host/identity.ts';
import { encodeRecord } from '../../src/message/record.ts';
import { instanceAccounts } from '../../tools/accounts.mjs';
import { DebianPostfix, noDebianPostfix } from '../debian-postfix.ts';
import { eventually, Instance } from '../instance.ts';
import { masterRows } from '../master-rows.ts';
import { logLines, records } from './cleanup-pair.ts';

/** Records as `type text`. */
type File = readonly string[];

const now = Math.floor(Date.now() / 1000);
const received: File = ['N Received: from a', 'N \tby b', 'N From: joe', 'N To: ann@x.test', 'N ', 'N text'];

const files: Readonly<Record<string, File>> = {
  'mail that came by SMTP': [
    `T ${now - 50} 7`, `A create_time=${now - 50}`, 'A rewrite_context=remote', 'F Joe Smith', 'S bob', 'A envelope_id=e+2B1', 'A ret_flags=2', 'A log_client_name=c.test', 'A log_client_address=192.0.2.1', 'A log_client_port=1',
    'A log_message_origin=c.test[192.0.2.1]', 'A log_helo_name=c.test', 'A log_protocol_name=ESMTP', 'A client_name=c.test', 'A sasl_method=PLAIN', 'A sasl_username=joe', 'A encoding=8bit', `W ${now + 9}`,
    'A dsn_orig_rcpt=rfc822;old@x.test', 'O old@x.test', 'D old@x.test', 'A notify_flags=2', 'A dsn_orig_rcpt=rfc822;ann@x.test', 'O ann@x.test', 'R ann@x.test', 'O list', 'R list@host.pair.test', 'M ', ...received, 'X ', 'A message_id=<1@x>', 'A encoding=8bit', 'E ',
  ],
  'mail for nobody any more': [`T ${now} 0`, 'S joe', 'O a', 'D a@x.test', 'M ', ...received, 'X ', 'E '],
  'canceled and killed records': [`T ${now} 0`, 'S joe', 'K gone', 'O a', '/ a@x.test', 'O b', 'R b@x.test', 'M ', ...received, 'X ', 'O c', 'R c@x.test', 'E '],
  'filters and redirections': [`T ${now} 0`, 'L old:filter', 'S joe', '> away@x.test', 'A rewrite_context=local', 'O b', 'R b@x.test', 'M ', ...received, 'X ', 'L late:filter', '> away@x.test', 'A other=x', 'A notify_flags=4', 'O c', 'R c@x.test', 'E '],
  'recipients behind the content': [`T ${now} 0`, 'A rewrite_context=local', 'S joe', 'M ', 'N Subject: x', 'N ', 'N text', 'X ', 'r receipt', 'e errors', 'O a', 'R a', 'A dsn_orig_rcpt=rfc822;z', 'R list', 'E '],
  'content that begins with white space': [`T ${now} 0`, 'S joe', 'R a', 'M ', 'N  indented', 'N Subject: x', 'N ', 'X ', 'E '],
  'flags of the sender': ['C 10 20 1 0 10 5', `T ${now} 0`, 'S \xc3\xa4@x.test', 'R \xc3\xb6@x.test', 'M ', 'N From: \xc3\xa4@x.test', 'X ', 'E '],
  'REQUIRETLS': ['C 10 20 1 0 10 32', `T ${now} 0`, 'S joe', 'R b@x.test', 'M ', ...received, 'X ', 'E '],
  'REQUIRETLS, which a header says too': ['C 10 20 1 0 10 32', `T ${now} 0`, 'S joe', 'R b@x.test', 'M ', 'N Received: from a', 'N Require-TLS-ESMTP: yes', 'N ', 'N text', 'X ', 'E '],
  'REQUIRETLS, which only a header says': ['C 10 20 1 0 10 0', `T ${now} 0`, 'S joe', 'R b@x.test', 'M ', 'N Received: from a', 'N require-tls-esmtp: YES', 'N ', 'N text', 'X ', 'E '],
  'REQUIRETLS, which a header denies': ['C 10 20 1 0 10 32', `T ${now} 0`, 'S joe', 'R b@x.test', 'M ', 'N Received: from a', 'N Require-TLS-ESMTP: no', 'N TLS-Required: no', 'N ', 'N text', 'X ', 'E '],
  'TLS is not required': ['C 10 20 1 0 10 16', `T ${now} 0`, 'S joe', 'R b@x.test', 'M ', 'N Received: from a', 'N TLS-Required: No', 'N ', 'N text', 'X ', 'E '],
  'TLS was not required, and the header is gone': ['C 10 20 1 0 10 16', `T ${now} 0`, 'S joe', 'R b@x.test', 'M ', 'N Received: from a', 'N ', 'N text', 'X ', 'E '],
  'a TLS-Required of no form': [`T ${now} 0`, 'S joe', 'R b@x.test', 'M ', 'N Received: from a', 'N TLS-Required: yes', 'N ', 'N text', 'X ', 'E '],
  'all options that there are': ['C 10 20 1 0 10 63', `T ${now} 0`, 'S joe', 'R b@x.test', 'M ', ...received, 'X ', 'E '],
  'VERP': [`T ${now} 0`, 'S list@x.test', 'V +=', 'V -=', 'R a@x.test', 'M ', ...received, 'X ', 'E '],
  'records among recipients': [`T ${now} 0`, 'S joe', 'R a@x.test', 'A other=value', 'R b@x.test', 'M ', ...received, 'X ', 'E '],
  'two senders': [`T ${now} 0`, 'S joe', 'S ann', 'R a@x.test', 'M ', ...received, 'X ', 'E '],
  'no sender': [`T ${now} 0`, 'R a@x.test', 'M ', ...received, 'X ', 'E '],
  'no time': ['S joe', 'R a@x.test', 'M ', ...received, 'X ', 'E '],
  'no end': [`T ${now} 0`, 'S joe', 'R a@x.test', 'M ', ...received],
  'a strange record': [`T ${now} 0`, 'S joe', 'Z what', 'R a@x.test', 'M ', ...received, 'X ', 'E '],
  'an attribute of no form': [`T ${now} 0`, 'A nonsense', 'S joe', 'R a@x.test', 'M ', ...received, 'X ', 'E '],
  'an empty attribute': [`T ${now} 0`, 'A empty=', 'S joe', 'R a@x.test', 'M ', ...received, 'X ', 'E '],
};

const image = (file: File): Buffer => Buffer.concat(file.map((line) => encodeRecord(line.charCodeAt(0), Buffer.from(line.slice(2), 'latin1').toString('latin1'))));

interface Taken { readonly queue: readonly string[]; readonly log: readonly string[] }

const mainCf = `inet_protocols = ipv4
inet_interfaces = 127.0.0.1
in_flow_delay = 0
myhostname = host.pair.test
mydomain = pair.test
mydestination = host.pair.test
mail_name = Postfix
canonical_maps = inline:{ { bob@host.pair.test = sales@example.org } }
virtual_alias_maps = inline:{ { list@host.pair.test = one@x.test } }
always_bcc = archive
content_filter = scan:[127.0.0.1]:10025
alias_maps =
`;
const masterCf = `${masterRows('pickup cleanup rewrite bounce defer trace')}\n`;

/** Start with one file in the maildrop, and see what becomes of it. */
async function takenBy(system: { directory: string; start(): Promise<void>; stop(): Promise<void>; log(): string }, uid: number): Promise<ReadonlyMap<string, Taken>> {
  const names = Object.keys(files);
  const at = (index: number): string => `A${String(index).padStart(9, '0')}`;
  const taken = new Map<string, Taken>();
  try {
    for (const [index, name] of names.entries()) {
      const path = `${system.directory}/queue/maildrop/${at(index)}`;
      writeFileSync(path, image(files[name]!), { mode: 0o700 });
      if (process.getuid!() === 0) chownSync(path, uid, -1);
    }
    await system.start();
    await eventually('the maildrop has been looked through', () => readdirSync(`${system.directory}/queue/maildrop`).length === 0);
    // Which message was which file says the log of pickup.
    for (const [index, name] of names.entries()) {
      const id = new RegExp(`pickup\\[[0-9]+\\]: ([0-9A-F]+): uid=[0-9]+ from=<[^>]*> orig_id=${at(index)}`).exec(system.log())?.[1];
      const queue = id === undefined ? [] : readdirSync(`${system.directory}/queue/incoming`).filter((file) => file === id).flatMap((file) => records(readFileSync(`${system.directory}/queue/incoming/${file}`), system.directory));
      const log = id === undefined ? [] : logLines(system.log().split('\n').filter((line) => line.includes(id) && !/ pickup|: removed \(|: message-id=/.test(line)).join('\n'), system.directory);
      taken.set(name, { queue: queue.map((line) => line.replace(/userid [0-9]+/, 'userid N')), log });
    }
    return taken;
  } finally {
    await system.stop();
  }
}

const skip = noDebianPostfix();
let ours: ReadonlyMap<string, Taken> = new Map();
let theirs: ReadonlyMap<string, Taken> = new Map();
before(async () => {
  if (skip) return;
  theirs = await takenBy(await DebianPostfix.create({ mainCf, masterCf }), getpwnam('postfix')!.uid);
  ours = await takenBy(await Instance.create({ mainCf, masterCf }), getpwnam(instanceAccounts().owner)!.uid);
});

const withoutMessageId = ({ queue, ...rest }: Taken): Taken => ({ ...rest, queue: queue.filter((record) => !record.startsWith('A message_id=')) });

/** What Postfix before 3.9 does otherwise: it forgets what the sender asked for. */
const newer = new Set(Object.keys(files).filter((name) => /flags|options|TLS/.test(name)));

for (const name of Object.keys(files)) {
  test(`requeued: ${name}`, { skip }, (t) => {
    const isOld = ![...theirs.values()].some(({ queue }) => queue.some((record) => record.startsWith('A message_id=')));
    const same = (taken: Taken): Taken => (isOld ? withoutMessageId(taken) : taken);
    if (isOld && newer.has(name)) return t.diagnostic('this Postfix is too old');
    assert.deepEqual(same(ours.get(name)!), same(theirs.get(name)!));
  });
}
