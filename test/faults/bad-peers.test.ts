/**
 * Servers that hang up, fall silent, talk nonsense or without end, at every step of SMTP and LMTP: every message gets to each of its
 * recipients in the end, whole, and never again once it was acknowledged; and what they say takes no memory.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { eventually, freePort, Instance } from '../instance.ts';
import { masterRows } from '../master-rows.ts';
import { submit } from '../submit.ts';
import { BadPeer, steps, type Manner, type Step, type Trouble } from './bad-peer.ts';
import { peakOf } from '../deferred-scene.ts';
import { processNamed } from './horde.ts';

const manners: Readonly<Record<string, Manner>> = {
  'hangs up': { say: '', then: 'end' },
  'breaks the connection': { say: '', then: 'reset' },
  'says half a line and hangs up': { say: '25', then: 'end' },
  'says the first of several lines and hangs up': { say: '250-and then\r\n', then: 'end' },
  'says nonsense and hangs up': { say: 'what is this?\r\n\r\n\0\xff\r\n', then: 'end' },
  'says a line of 10 MB and hangs up': { say: `${'x'.repeat(10_000_000)}\r\n`, then: 'end' },
  'says 10 MB of lines that go on, and hangs up': { say: '250-and more of this\r\n'.repeat(450_000), then: 'end' },
  'says yes and then no': { say: '250-yes\r\n451 4.3.0 no, later\r\n', then: 'go on' },
  'says it a byte at a time': { say: '', then: 'drip' },
  'falls silent': { say: '', then: 'silence' },
  'falls silent in a line': { say: '250 fi', then: 'silence' },
};

/** What is said in the midst of the content is heard when the content is over; not all steps are in both protocols, with and without pipelining, in each message. */
function fits({ step, manner, lmtp, pipelining, second }: Trouble): boolean {
  if (step === 'content' && (manner.then === 'go on' || manner.then === 'drip')) return false;
  if (step === 'second reply' && !lmtp) return false;
  if (pipelining && !pipelined.has(step)) return false;
  if (manner.say.length > 1000) return !second && !pipelining && long.has(step);
  if (second) return step !== 'greeting' && step !== 'EHLO';
  return step !== 'probe';
}
/** Where so much is said: it is the same reader everywhere. */
const long: ReadonlySet<Step> = new Set(['greeting', 'EHLO', 'RCPT', 'content', 'dot']);
const pipelined: ReadonlySet<Step> = new Set(['probe', 'MAIL', 'RCPT', 'second RCPT', 'DATA']);

interface Case extends Trouble { readonly name: string; readonly domain: string }
const both = [true, false] as const;
const cases: readonly Case[] = Object.entries(manners).flatMap(([said, manner]) => steps.flatMap((step) => both.flatMap((lmtp) => both.flatMap((pipelining) => both.map((second) => ({ step, manner, lmtp, pipelining, second, said }))))))
  .filter(fits)
  .map(({ said, ...each }, at) => ({ ...each, domain: `c${at}.test`, name: `${each.lmtp ? 'LMTP' : 'SMTP'}${each.pipelining ? ', pipelining' : ''}, at ${each.step}${each.second ? ' of the second message' : ''}: ${said}` }));

const timeouts = ['helo', 'lhlo', 'mail', 'rcpt', 'data_init', 'data_xfer', 'data_done', 'quit', 'rset'];
/** Kilobytes; they say many times that. */
const memoryLimit = 250_000;

const recipientsOf = ({ domain }: Case): string[] => [`one@${domain}`, `two@${domain}`];
type Number = 1 | 2;
const numbersOf = ({ second }: Case): readonly Number[] => (second ? [1, 2] : [1]);
/** Some lines, with the name of the domain in each; enough of them that a hang-up can come in their midst. */
const bodyOf = ({ domain, step }: Case, number: Number): string => `.number ${number}\n${`.for ${domain}\n`.repeat(step === 'content' ? 30_000 : 3)}`;
const bodyIn = (text: string): string => text.replaceAll('\r\n', '\n').split('\n\n').slice(1).join('\n\n');

let house: Instance;
let port = 0;
const peers = new Map<Case, BadPeer>();

before(async () => {
  port = await freePort();
  for (const each of cases) peers.set(each, await BadPeer.listen(each));
  house = await Instance.create({
    mainCf: `inet_protocols = ipv4
mydestination =
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_peername_lookup = no
smtp_dns_support_level = disabled
lmtp_dns_support_level = disabled
smtp_tls_security_level = none
lmtp_tls_security_level = none
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
notify_classes =
default_process_limit = 100
smtp_connection_cache_time_limit = 60s
connection_cache_ttl_limit = 60s
lmtp_connection_cache_time_limit = 60s
${['smtp', 'lmtp'].flatMap((client) => timeouts.filter((name) => name !== (client === 'smtp' ? 'lhlo' : 'helo')).map((name) => `${client}_${name}_timeout = 2s\n`)).join('')}`,
    masterCf: `127.0.0.1:${port} inet n - n - - smtpd\nlmtp unix - - n - - lmtp\n${['smtp', 'lmtp'].map((client) => `kept-${client} unix - - n - - ${client} -o ${client}_connection_cache_destinations=127.0.0.1\n`).join('')}${masterRows('cleanup qmgr rewrite bounce defer trace smtp error retry anvil')}\n`,
  });
  house.mainCf(`transport_maps = texthash:${house.directory}/transport\n`);
  writeFileSync(`${house.directory}/transport`, cases.map((each) => `${each.domain} ${each.second ? 'kept-' : ''}${each.lmtp ? 'lmtp:inet' : 'smtp'}:[127.0.0.1]:${peers.get(each)!.port}\n`).join(''));
  await house.start();
});

after(async () => {
  await house.stop();
  for (const peer of peers.values()) await peer.close();
});

/** Deliveries by domain and status, `c1.test sent`. */
function verdicts(): ReadonlyMap<string, number> {
  const counted = new Map<string, number>();
  for (const line of house.lines(/ status=/)) {
    const [, domain, status] = /: to=<\w+@([^>]*)>.* status=(\w+)/.exec(line)!;
    counted.set(`${domain} ${status}`, (counted.get(`${domain} ${status}`) ?? 0) + 1);
  }
  return counted;
}

/** Until everybody has it, or two minutes are over: who did not get it is named later. */
async function deliver(number: Number): Promise<void> {
  const concerned = [...peers].filter(([each]) => numbersOf(each).includes(number));
  for (const [each] of concerned) await submit({ port, sender: 'sender@client.test', recipients: recipientsOf(each), text: `Subject: ${each.domain}\n\n${bodyOf(each, number)}` });
  const isDone = ([each, { taken }]: readonly [Case, BadPeer]): boolean => taken.filter(({ acknowledged }) => acknowledged).length >= number * recipientsOf(each).length;
  for (let halves = 0; halves < 4 && !concerned.every(isDone); halves++) await eventually('all is delivered', () => concerned.every(isDone)).catch(() => undefined);
}

test(`${cases.length} servers, each bad in its own way: everybody gets the mail, whole, and nobody who said so gets it again`, async (t) => {
  await deliver(1);
  await deliver(2);
  for (const [each, peer] of peers) await t.test(each.name, () => {
    assert.equal(peer.spoiled, 1);
    for (const recipient of recipientsOf(each)) for (const number of numbersOf(each)) {
      const taken = peer.taken.filter((one) => one.recipient === recipient && bodyIn(one.text) === bodyOf(each, number));
      assert.equal(taken.filter((one) => one.acknowledged).length, 1, house.lines(new RegExp(recipient)).join('\n'));
      assert.ok(taken.at(-1)!.acknowledged, 'it comes again after it was acknowledged');
      // Twice only where nobody can know: the content was there, and no answer.
      assert.ok(taken.length === 1 || ['dot', 'second reply'].includes(each.step), `${taken.length} times`);
    }
    // Whatever came was for these, and one of these texts.
    assert.deepEqual(peer.taken.filter(({ recipient, text }) => !recipientsOf(each).includes(recipient) || !numbersOf(each).some((number) => bodyIn(text) === bodyOf(each, number))), []);
  });
  await t.test('the log says once of each that it was sent, and the queue is empty', async () => {
    await eventually('the queue is empty', () => house.lines(/qmgr\[\d+\]: [0-9A-F]+: removed$/).length === cases.flatMap(numbersOf).length);
    const counted = verdicts();
    for (const each of cases) assert.deepEqual([counted.get(`${each.domain} sent`), counted.get(`${each.domain} bounced`)], [2 * numbersOf(each).length, undefined], each.name);
    assert.deepEqual(house.lines(/(panic|fatal|unexpected|internal error)/), []);
  });
  await t.test('what they said took no memory to speak of', (context) => {
    const peak = peakOf(processNamed(house, 'network-out'));
    context.diagnostic(`the process that delivers had at most ${peak} kB`);
    assert.ok(peak < memoryLimit, `${peak} kB`);
  });
});
