/**
 * postfix logrotate while the mail system works: no line is lost, whoever wrote it and how long ago they were told to let go of the file.
 *
 * Writers: postlog(1), programs on the postlog socket, and an SMTP session that is older than all rotations.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, readdirSync, readFileSync, writeSync } from 'node:fs';
import net from 'node:net';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { connectDatagram } from '../../src/host/sockets.ts';
import { eventually, freePort, Instance } from '../instance.ts';

const run = fileURLToPath(new URL('../../src/commands/run.ts', import.meta.url));

function command(instance: Instance, name: string, ...words: string[]) {
  return spawn(process.execPath, [run, name, '-c', `${instance.directory}/etc`, ...words], { stdio: ['ignore', 'ignore', 'pipe'] });
}

/** Exit status and standard error. */
async function finished(child: ReturnType<typeof command>): Promise<{ status: number; said: string }> {
  let said = '';
  child.stderr!.on('data', (chunk: Buffer) => { said += chunk.toString('latin1'); });
  const [status] = await once(child, 'close') as [number];
  return { status, said };
}

/** Every line of the log and of all logs before it. */
function allLines({ directory }: Instance): string[] {
  const names = readdirSync(directory).filter((name) => name.startsWith('maillog'));
  return names.flatMap((name) => {
    const bytes = readFileSync(`${directory}/${name}`);
    return (name.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('latin1').split('\n');
  });
}

/** One line to the server, and its reply. */
class Talk {
  readonly #socket: net.Socket;
  #text = '';

  constructor(port: number) {
    this.#socket = net.connect(port, '127.0.0.1');
    this.#socket.on('error', () => undefined);
    this.#socket.on('data', (chunk: Buffer) => { this.#text += chunk.toString('latin1'); });
    this.#socket.on('close', () => { this.#text += '(closed)\r\n'; });
  }

  say(text: string): void {
    this.#socket.write(text);
  }

  async reply(): Promise<string> {
    await eventually('the server answers', () => /^(?:[0-9]{3} |\()[^\n]*\n/m.test(this.#text));
    const reply = this.#text;
    this.#text = '';
    return reply;
  }

  async ask(line: string, want: RegExp): Promise<void> {
    if (line !== '') this.say(`${line}\r\n`);
    assert.match(await this.reply(), want);
  }

  end(): void {
    this.#socket.destroy();
  }
}

const rotations = 3;

test('lines of several writers survive rotations', { timeout: 100_000 }, async (t) => {
  const port = await freePort();
  const instance = await Instance.create({
    mainCf: 'maillog_file_rotate_suffix = %s.%N\n',
    masterCf: `127.0.0.1:${port} inet n - n - - smtpd\nrewrite unix - - n - - trivial-rewrite\ncleanup unix n - n - 0 cleanup\nanvil unix - - n - 1 anvil\n`
      + 'qmgr unix n - n 300 1 qmgr\nbounce unix - - n - 0 bounce\ndefer unix - - n - 0 bounce\npostlog unix-dgram n - n - 1 postlogd\n',
  });
  t.after(() => instance.stop());
  await instance.start();

  // A message under way keeps its process over every reload.
  const client = new Talk(port);
  t.after(() => client.end());
  await client.ask('', /^220 /);
  await client.ask('EHLO old.example', /250 /);
  await client.ask('MAIL FROM:<joe@example.com>', /^250 /);
  await client.ask('RCPT TO:<jane@example.com>', /^250 /);
  await client.ask('DATA', /^354 /);

  const postlog = connectDatagram(`${instance.directory}/queue/public/postlog`);
  let sent = 0;
  const ticking = setInterval(() => {
    for (let count = 0; count < 20; count++) {
      try {
        writeSync(postlog, Buffer.from(`Nov 21 00:00:00 host other/program[77]: datagram ${sent} of some program`));
        sent++;
      } catch (error) {
        assert.equal((error as NodeJS.ErrnoException).code, 'EAGAIN');
      }
    }
  }, 5);
  t.after(() => {
    clearInterval(ticking);
    closeSync(postlog);
  });

  const writers = ['one', 'two'].map((name) => {
    const child = spawn(process.execPath, [run, 'postlog', '-c', `${instance.directory}/etc`, '-t', `writer/${name}`], { stdio: ['pipe', 'ignore', 'ignore'] });
    child.stdin!.write('first\n');
    return { name, child };
  });
  await eventually('the writers have the file open', () => writers.every(({ name }) => allLines(instance).some((line) => line.includes(`writer/${name}[`))));

  for (let turn = 0; turn < rotations; turn++) {
    const rotation = finished(command(instance, 'postfix', 'logrotate'));
    const single = finished(command(instance, 'postlog', '-t', 'single', `line ${turn}`));
    if (turn === 0) {
      await eventually('the file is moved aside', () => readdirSync(instance.directory).some((name) => /^maillog\..*[0-9]$/.test(name)));
      for (const { child } of writers) child.stdin!.end('last\n');
    }
    assert.deepEqual(await rotation, { status: 0, said: '' });
    await single;
  }
  clearInterval(ticking);
  client.say('Subject: test\r\n\r\nText.\r\n.\r\n');
  assert.match(await client.reply(), /^250 /);
  await client.ask('QUIT', /^221 /);

  const datagram = / other\/program\[77\]: datagram ([0-9]+) of some program$/;
  await eventually('every line is in some log', () => {
    const lines = allLines(instance);
    return lines.filter((line) => datagram.test(line)).length >= sent && lines.some((line) => /disconnect from .*quit=1/.test(line));
  });
  const lines = allLines(instance);
  const numbers = lines.flatMap((line) => datagram.exec(line)?.[1] ?? []).map(Number);
  assert.deepEqual(numbers.toSorted((one, other) => one - other), Array.from({ length: sent }, (_, number) => number), 'each datagram once');
  for (let turn = 0; turn < rotations; turn++) assert.equal(lines.filter((line) => line.endsWith(`]: line ${turn}`)).length, 1, `postlog ${turn}`);
  for (const { name } of writers) assert.equal(lines.filter((line) => new RegExp(` writer/${name}\\[[0-9]+\\]: last$`).test(line)).length, 1);
  assert.equal(readdirSync(instance.directory).filter((name) => /^maillog\..*\.gz$/.test(name)).length, rotations);
});
