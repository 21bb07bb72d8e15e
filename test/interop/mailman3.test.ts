/**
 * mailman3 behind ours: the maps that it writes and has our postmap index, as its own user and while we run, and its LMTP runner, to
 * which the mail of its lists goes. Skipped, by name, where mailman3 is not installed or we are not root.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { getpwnam } from '../../src/host/identity.ts';
import { eventually, freePort, indexedType, Instance } from '../instance.ts';
import { masterRows } from '../master-rows.ts';
import { accepts } from '../ports.ts';
import { missing } from '../real-programs.ts';
import { submit } from '../submit.ts';

const programs = '/usr/lib/mailman3/bin';
const account = getpwnam('list');
const impossible = missing(`${programs}/mailman`, `${programs}/runner`) || (process.getuid!() !== 0 || account === undefined ? 'mailman3 runs as its own user' : false);
const bin = fileURLToPath(new URL('../../bin', import.meta.url));

let home = '';
let house: Instance;
let runner: ChildProcess | undefined;
let door = 0;

/** mailman.cfg with everything below `home`, and the maps in the form that `kind` names (hash, regex). */
function configuration(kind: string, lmtp: number, web: number): string {
  writeFileSync(`${home}/postfix-${kind}.cfg`, `[postfix]\npostmap_command: ${bin}/postmap -c ${house.directory}/etc\ntransport_file_type: ${kind}\n`);
  const places = ['queue', 'lists', 'logs', 'locks', 'data', 'cache', 'ext', 'messages', 'archives', 'templates'];
  const names: Readonly<Record<string, string>> = { lists: 'list_data_dir', archives: 'archive_dir', logs: 'log_dir', locks: 'lock_dir', templates: 'template_dir' };
  const file = `${home}/mailman-${kind}.cfg`;
  writeFileSync(file, `[mailman]
site_owner: postmaster@lists.test
layout: here
[paths.here]
var_dir: ${home}/var
bin_dir: ${programs}
etc_dir: ${home}
pid_file: ${home}/var/master.pid
lock_file: ${home}/var/locks/master.lck
${places.map((place) => `${names[place] ?? `${place}_dir`}: ${home}/var/${place}\n`).join('')}[database]
url: sqlite:///${home}/var/data/mailman.db
[mta]
incoming: mailman.mta.postfix.LMTP
configuration: ${home}/postfix-${kind}.cfg
lmtp_host: 127.0.0.1
lmtp_port: ${lmtp}
[webservice]
port: ${web}
`);
  return file;
}

const asList = (): { uid: number; gid: number; cwd: string } => ({ uid: account!.uid, gid: account!.gid, cwd: home });

/** The mailman command; what it says is part of the failure. */
function mailman(file: string, ...words: readonly string[]): void {
  const { status, stdout, stderr } = spawnSync(`${programs}/mailman`, ['-C', file, ...words], { ...asList(), encoding: 'latin1', timeout: 60_000 });
  assert.equal(status, 0, `mailman ${words.join(' ')}: ${stdout}${stderr}`);
}

let hashFile = '';
let regexFile = '';

before(async () => {
  if (impossible) return;
  home = mkdtempSync(`${tmpdir()}/mailman3-`);
  chmodSync(home, 0o755);
  mkdirSync(`${home}/var`);
  mkdirSync(`${home}/var/data`);
  for (const directory of [home, `${home}/var`, `${home}/var/data`]) chownSync(directory, account!.uid, account!.gid);
  const [lmtp, web] = [await freePort(), await freePort()];
  door = await freePort();
  house = await Instance.create({
    mainCf: `inet_protocols = ipv4
mydestination =
mynetworks =
smtpd_peername_lookup = no
smtpd_relay_restrictions = reject_unauth_destination
recipient_delimiter = +
owner_request_special = no
lmtp_dns_support_level = disabled
default_transport = discard
notify_classes =
transport_maps = ${indexedType}:${home}/var/data/postfix_lmtp
relay_domains = ${indexedType}:${home}/var/data/postfix_domains
relay_recipient_maps = $transport_maps
`,
    masterCf: `127.0.0.1:${door} inet n - n - - smtpd\nlmtp unix - - n - - lmtp\n${masterRows('cleanup qmgr rewrite bounce defer trace relay error retry discard anvil')}\n`,
  });
  hashFile = configuration('hash', lmtp, web);
  regexFile = configuration('regex', lmtp, web);
  mailman(hashFile, 'create', 'news@lists.test');
  runner = spawn(`${programs}/runner`, ['-C', hashFile, '-r', 'lmtp:0:1'], { ...asList(), stdio: 'ignore' });
  await house.start();
  await eventually("mailman's LMTP runner answers", () => {
    if (runner!.exitCode !== null) throw new Error(`the runner ended with status ${runner!.exitCode}`);
    return accepts(lmtp);
  });
}, { timeout: 120_000 });

after(async () => {
  if (impossible) return;
  if (runner !== undefined && runner.exitCode === null && runner.signalCode === null) {
    const ended = new Promise((resolve) => runner!.on('exit', resolve));
    runner.kill('SIGTERM');
    await ended;
  }
  await house.stop();
  rmSync(home, { recursive: true, force: true });
});

/** How it ended for one recipient: `dsn status`. */
async function verdict(recipient: string): Promise<string> {
  const id = await submit({ port: door, sender: 'someone@else.test', recipients: [recipient], text: 'From: someone@else.test\nMessage-ID: <m@else.test>\nSubject: x\n\n.\nhello\n' });
  const [line] = await eventually(`${recipient} is settled`, () => {
    const lines = house.lines(new RegExp(`${id}: to=<.*status=`));
    return lines.length > 0 ? lines : undefined;
  });
  return /dsn=([^,]*, status=[a-z]+)/.exec(line!)![1]!;
}

const incoming = (): string[] => readdirSync(`${home}/var/queue/in`).map((name) => readFileSync(`${home}/var/queue/in/${name}`, 'latin1'));

test('the maps that it had indexed stay its own', { skip: impossible }, () => {
  for (const name of ['postfix_lmtp', 'postfix_domains']) {
    const [text, indexed] = [statSync(`${home}/var/data/${name}`), statSync(`${home}/var/data/${name}.${indexedType}`)];
    // Nobody but the owner writes what postmap(1) makes.
    assert.deepEqual([indexed.uid, indexed.gid, indexed.mode & 0o777], [text.uid, text.gid, text.mode & 0o755 & ~0o111], name);
  }
});

test('mail for a list goes to the runner, byte by byte', { skip: impossible }, async () => {
  assert.equal(await verdict('news@lists.test'), '2.0.0, status=sent');
  assert.equal(incoming().filter((text) => text.includes('hello')).length, 1);
});

for (const [recipient, want] of [
  ['news-request@lists.test', '2.0.0, status=sent'], ['news-bounces+joe=else.test@lists.test', '2.0.0, status=sent'], ['NEWS-Owner@lists.test', '2.0.0, status=sent'],
] as const) test(`${recipient}: ${want}`, { skip: impossible }, async () => assert.equal(await verdict(recipient), want));

for (const [recipient, words] of [['nobody@lists.test', /^RCPT [^]* 5\.1\.1 .*User unknown in relay recipient table/], ['news@foreign.test', /^RCPT [^]* 5\.7\.1 .*Relay access denied/]] as const)
  test(`${recipient} is refused at the door`, { skip: impossible }, () => assert.rejects(verdict(recipient), (error: Error) => words.test(error.message)));

test('a list that is made while we run is known at once', { skip: impossible }, async () => {
  mailman(hashFile, 'create', 'more@other.test');
  const outcome = await eventually('the new list is known', () => verdict('more@other.test').catch(() => undefined));
  assert.equal(outcome, '2.0.0, status=sent');
});

test('its maps of patterns answer too', { skip: impossible }, () => {
  const place = `${home}/patterns`;
  mkdirSync(place);
  chownSync(place, account!.uid, account!.gid);
  mailman(regexFile, 'aliases', '-d', place);
  for (const [key, want] of [['news@lists.test', true], ['news-bounces+x=y@lists.test', true], ['nobody@lists.test', false]] as const) {
    const { status, stdout } = spawnSync(`${bin}/postmap`, ['-c', `${house.directory}/etc`, '-q', key, `regexp:${place}/postfix_lmtp`], { encoding: 'latin1', timeout: 30_000 });
    assert.deepEqual([status, stdout.startsWith('lmtp:[127.0.0.1]:')], want ? [0, true] : [1, false], key);
  }
  assert.equal(existsSync(`${place}/postfix_domains`), true);
});

test('a map that cannot be indexed is a failure of its command', { skip: impossible }, () => {
  writeFileSync(`${home}/postfix-hash.cfg`, `[postfix]\npostmap_command: ${bin}/postmap -c ${home}/none\ntransport_file_type: hash\n`);
  assert.throws(() => mailman(hashFile, 'aliases'), /command failure/);
});
