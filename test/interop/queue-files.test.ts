/**
 * Queue files go both ways: what we write, Debian's Postfix lists, shows and delivers; what it writes, we list, show and read, byte for
 * byte the same. Skipped, by name, where Debian's Postfix is not installed or we are not root (its queue belongs to an account of its own).
 */
import assert from 'node:assert/strict';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { getgrnam, getpwnam } from '../../src/host/identity.ts';
import { createFileStore } from '../../src/queue/file-store.ts';
import { writeSample, type SampleMessage } from '../../src/queue/sample-queue.ts';
import type { MessageReader, QueueName, QueueStore } from '../../src/queue/store.ts';
import { eventually } from '../instance.ts';
import { freePort } from '../ports.ts';

const postfixLibexec = '/usr/lib/postfix/sbin';
const missing = !fs.existsSync(`${postfixLibexec}/master`) ? "Debian's postfix is not installed" : process.getuid!() !== 0 ? 'needs root' : false;
const options = { skip: missing, timeout: 60_000 };

const runner = fileURLToPath(new URL('../../src/commands/run.ts', import.meta.url));
const directories = ['active', 'bounce', 'corrupt', 'defer', 'deferred', 'flush', 'hold', 'incoming', 'maildrop', 'private', 'public', 'saved', 'trace'];

interface Said { readonly status: number; readonly out: string; readonly said: string }

function run(file: string, argv: readonly string[]): Promise<Said> {
  return new Promise((resolve) => {
    const child = execFile(file, argv, { encoding: 'latin1' }, (error, out, said) => resolve({ status: Number(error?.code ?? 0), out, said }));
    child.stdin!.on('error', () => undefined).end();
  });
}

class Queue {
  readonly directory = fs.mkdtempSync(join(os.tmpdir(), 'postern-interop-'));
  readonly root = `${this.directory}/queue`;
  readonly etc = `${this.directory}/etc`;
  readonly store: QueueStore;
  #master: ChildProcess | undefined;

  constructor({ longQueueIds, smtpd, relay }: { longQueueIds: boolean; smtpd: number; relay: number }) {
    const owner = getpwnam('postfix')!;
    const group = getgrnam('postdrop')!.gid;
    fs.chmodSync(this.directory, 0o755);
    for (const name of ['etc', 'queue', 'queue/pid', 'data']) fs.mkdirSync(`${this.directory}/${name}`);
    fs.chownSync(`${this.directory}/data`, owner.uid, 0);
    for (const name of directories) {
      fs.mkdirSync(`${this.root}/${name}`, 0o700);
      fs.chownSync(`${this.root}/${name}`, owner.uid, name === 'maildrop' || name === 'public' ? group : 0);
    }
    fs.chmodSync(`${this.root}/maildrop`, 0o730);
    fs.chmodSync(`${this.root}/public`, 0o710);
    fs.writeFileSync(`${this.etc}/main.cf`, `compatibility_level = 3.6
queue_directory = ${this.root}
data_directory = ${this.directory}/data
command_directory = /usr/sbin
daemon_directory = ${postfixLibexec}
shlib_directory = /usr/lib/postfix
mail_owner = postfix
setgid_group = postdrop
maillog_file = ${this.directory}/log
maillog_file_prefixes = ${this.directory}
myhostname = host.example.test
mydestination =
inet_protocols = ipv4
inet_interfaces = 127.0.0.1
alias_maps =
alias_database =
relayhost = [127.0.0.1]:${relay}
enable_long_queue_ids = ${longQueueIds ? 'yes' : 'no'}
header_checks = regexp:${this.etc}/hold
smtp_tls_security_level = none
smtp_line_length_limit = 0
smtp_connection_cache_on_demand = no
local_recipient_maps =
`);
    fs.writeFileSync(`${this.etc}/hold`, '/^Subject: hold/ HOLD\n');
    const rows = ['pickup unix n - n 60 1 pickup', 'cleanup unix n - n - 0 cleanup', 'qmgr unix n - n 300 1 qmgr', 'rewrite unix - - n - - trivial-rewrite',
      'bounce unix - - n - 0 bounce', 'defer unix - - n - 0 bounce', 'trace unix - - n - 0 bounce', 'smtp unix - - n - - smtp', 'relay unix - - n - - smtp',
      'error unix - - n - - error', 'retry unix - - n - - error', 'showq unix n - n - - showq', 'postlog unix-dgram n - n - 1 postlogd', 'anvil unix - - n - 1 anvil'];
    fs.writeFileSync(`${this.etc}/master.cf`, `127.0.0.1:${smtpd} inet n - n - - smtpd\n${rows.join('\n')}\n`);
    this.store = createFileStore({ root: this.root, hashQueueNames: 'deferred, defer', hashQueueDepth: 1, longQueueIds });
  }

  /** A message of ours, as the mail system's owner would have written it. */
  async put(queue: QueueName, message: SampleMessage): Promise<string> {
    const owner = getpwnam('postfix')!;
    const writer = this.store.create();
    writeSample(writer, message);
    await writer.commit('incoming');
    fs.chownSync(`${this.root}/incoming/${writer.queueId}`, owner.uid, owner.gid);
    if (queue === 'incoming') return writer.queueId;
    this.store.move(writer.queueId, 'incoming', queue);
    for (const name of fs.readdirSync(`${this.root}/${queue}`, { recursive: true })) fs.chownSync(`${this.root}/${queue}/${String(name)}`, owner.uid, owner.gid);
    return writer.queueId;
  }

  theirs(command: string, ...argv: string[]): Promise<Said> {
    return run(`/usr/sbin/${command}`, ['-c', this.etc, ...argv]);
  }

  ours(command: string, ...argv: string[]): Promise<Said> {
    return run(process.execPath, [runner, command, '-c', this.etc, ...argv]);
  }

  async start(port: number): Promise<void> {
    const master = spawn(`${postfixLibexec}/master`, ['-d', '-c', this.etc], { stdio: 'ignore', detached: true });
    this.#master = master;
    await eventually('their smtpd answers', () => {
      if (master.exitCode !== null) throw new Error(`their master ended with status ${master.exitCode}`);
      return new Promise<boolean>((resolve) => {
        const socket = net.connect({ host: '127.0.0.1', port });
        socket.on('connect', () => { socket.destroy(); resolve(true); }).on('error', () => resolve(false));
      });
    });
  }

  async stop(): Promise<void> {
    const master = this.#master;
    if (master === undefined || master.exitCode !== null || master.signalCode !== null) return;
    await new Promise((resolve) => {
      master.on('exit', resolve);
      master.kill('SIGTERM');
    });
    this.#master = undefined;
  }

  /** Queue ids, by queue. */
  ids(queue: QueueName): string[] {
    return [...this.store.list(queue)].map(({ queueId }) => queueId).sort();
  }

  async remove(): Promise<void> {
    await this.stop();
    fs.rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Speaks just enough SMTP to take mail; what came in DATA, by message. */
function sink(): Promise<{ server: net.Server; port: number; got: string[] }> {
  const got: string[] = [];
  const server = net.createServer((socket) => {
    let text = '';
    let data: string | undefined;
    socket.on('error', () => undefined);
    socket.write('220 sink ESMTP\r\n');
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      for (let end = text.indexOf('\r\n'); end >= 0; end = text.indexOf('\r\n')) {
        const line = text.slice(0, end);
        text = text.slice(end + 2);
        if (data === undefined) {
          if (line === 'DATA') data = '';
          socket.write(line.startsWith('EHLO') ? '250-sink\r\n250-8BITMIME\r\n250 SIZE\r\n' : line === 'DATA' ? '354 go\r\n' : line === 'QUIT' ? '221 bye\r\n' : '250 ok\r\n');
          if (line === 'QUIT') socket.end();
        } else if (line === '.') {
          got.push(data);
          data = undefined;
          socket.write('250 taken\r\n');
        } else data += `${line.replace(/^\./, '')}\r\n`;
      }
    });
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve({ server, port: (server.address() as net.AddressInfo).port, got })));
}

/** Hand a message to their smtpd. */
async function submit(port: number, sender: string, recipients: readonly string[], content: string): Promise<void> {
  const socket = net.connect({ host: '127.0.0.1', port });
  const commands = ['EHLO client.example.test', `MAIL FROM:<${sender}> RET=HDRS ENVID=id+2B1`, ...recipients.map((recipient) => `RCPT TO:<${recipient}> NOTIFY=DELAY,FAILURE`), 'DATA', `${content}.`, 'QUIT'];
  let text = '';
  for await (const chunk of socket) {
    text += (chunk as Buffer).toString('latin1');
    if (!/^[0-9]{3} .*\r\n$/m.test(text)) continue;
    assert.match(text, /^[23]/);
    text = '';
    const command = commands.shift();
    if (command === undefined) break;
    socket.write(`${command}\r\n`, 'latin1');
  }
}

const messages: readonly SampleMessage[] = [
  { recipients: ['one@dest.test', { address: 'two@dest.test', originalAddress: 'alias@dest.test', dsnOrcpt: 'rfc822;alias@dest.test', dsnNotify: 10 }] },
  { sender: '', recipients: ['"quoted'.slice(1) + ' user@dest.test'], content: 'Subject: empty sender\n\n.dot\n..dots\n' },
  { recipients: ['done@dest.test', 'todo@dest.test'].map((address, at) => ({ address, done: at === 0 })), content: `Subject: long\n\n${'x'.repeat(5000)}\n${'y'.repeat(2048)}\nend\n` },
  { content: `no header\n\xff\x00\x80\n${'line\n'.repeat(20_000)}` },
];

async function contentOf(reader: MessageReader): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of reader.content()) pieces.push(piece);
  reader.close();
  return Buffer.concat(pieces).toString('latin1');
}

for (const longQueueIds of [false, true]) {
  const ids = longQueueIds ? 'long' : 'short';
  let queue: Queue;
  let smtpd: number;
  let relay: Awaited<ReturnType<typeof sink>>;

  before(async () => {
    if (missing) return;
    relay = await sink();
    smtpd = await freePort();
    queue = new Queue({ longQueueIds, smtpd, relay: relay.port });
  });
  after(async () => {
    if (missing) return;
    await queue.remove();
    relay.server.close();
  });

  test(`Postfix reads and delivers what we wrote (${ids} queue ids)`, options, async () => {
    const placed: string[] = [];
    for (const [at, message] of messages.entries()) placed.push(await queue.put((['incoming', 'deferred', 'hold', 'deferred'] as const)[at]!, message));
    for (const id of placed) {
      const theirs = await queue.theirs('postcat', '-vo', '-q', id);
      assert.deepEqual(await queue.ours('postcat', '-vo', '-q', id), { ...theirs, said: '' });
      assert.ok(theirs.out.includes('MESSAGE FILE END'));
    }
    assert.deepEqual(await queue.theirs('postsuper', '-s'), { status: 0, out: '', said: '' });
    const listed = await queue.theirs('postqueue', '-p');
    assert.deepEqual(await queue.ours('postqueue', '-p'), listed);
    assert.match(listed.out, /-- [0-9]+ Kbytes in 4 Requests\.\n$/);

    await queue.theirs('postsuper', '-H', placed[2]!);
    await queue.start(smtpd);
    await queue.theirs('postqueue', '-f');
    await eventually('all are delivered', () => relay.got.length === messages.length);
    await eventually('the queue is empty', () => (['incoming', 'active', 'deferred'] as const).every((name) => queue.ids(name).length === 0));
    await queue.stop();
    const contents = messages.map(({ content = 'Subject: sample\n\nhello\n' }) => content.replaceAll('\n', '\r\n'));
    assert.deepEqual(relay.got.sort(), contents.sort());
  });

  test(`we read what Postfix wrote (${ids} queue ids)`, options, async () => {
    relay.server.close();
    await queue.start(smtpd);
    const contents = ['Subject: one\r\n\r\nhello\r\n', `Subject: long\r\n\r\n${'x'.repeat(5000)}\r\n${'y'.repeat(2048)}\r\n`, 'Subject: hold me\r\n\r\nheld\r\n', 'no header\r\n\xe9\r\n'];
    for (const content of contents) await submit(smtpd, 'joe@sender.test', ['one@dest.test', '"two words"@dest.test'], content);
    await submit(smtpd, '', ['three@dest.test'], contents[0]!);
    await eventually('all are deferred or held', () => queue.ids('deferred').length === 4 && queue.ids('hold').length === 1 && queue.ids('active').length === 0);
    const live = await queue.theirs('postqueue', '-p');
    assert.deepEqual(await queue.ours('postqueue', '-p').then(({ status }) => status), 69, 'an older showq is told apart');
    await queue.stop();
    fs.writeFileSync(`${queue.root}/hold/ABCDE12`, 'S\x03s@xR\x09', { mode: 0o700 });
    fs.chownSync(`${queue.root}/hold/ABCDE12`, getpwnam('postfix')!.uid, 0);
    const found = (await queue.theirs('postqueue', '-p')).out;
    assert.equal((await queue.ours('postqueue', '-p')).out, found);
    assert.ok(found.includes(live.out.split('\n')[1]!));
    fs.unlinkSync(`${queue.root}/hold/ABCDE12`);

    const seen: string[] = [];
    for (const name of ['deferred', 'hold'] as const) {
      for (const id of queue.ids(name)) {
        const reader = queue.store.open(name, id);
        const envelope = reader.envelope();
        assert.deepEqual(reader.warnings, []);
        assert.equal(envelope.complete, true);
        assert.equal(envelope.recipients.some(({ done }) => done), false);
        assert.ok(['one@dest.test,two words@dest.test', 'three@dest.test'].includes(envelope.recipients.map(({ address }) => address).join()));
        assert.deepEqual([envelope.dsnEnvid, envelope.dsnRet, envelope.recipients[0]!.dsnNotify], ['id+1', 2, 12]);
        seen.push((await contentOf(reader)).replace(/^(?:.*\n)*?Subject/m, 'Subject'));
        for (const argv of [['-q', id], ['-vo', '-q', id], ['-bh', '-q', id]])
          assert.equal((await queue.ours('postcat', ...argv)).out, (await queue.theirs('postcat', ...argv)).out);
      }
    }
    assert.equal(seen.length, 5);
    for (const content of contents) assert.ok(seen.some((text) => text.endsWith(content.split('\r\n\r\n').at(-1)!.replaceAll('\r\n', '\n'))), content.slice(0, 40));
  });
}
