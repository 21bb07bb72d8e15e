/**
 * smtp-source, smtp-sink, qmqp-source and qmqp-sink beside Debian's programs of the same names: what one says the other says too, and each
 * source gets on with each sink.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { freePort } from '../ports.ts';

/** Another build of Postfix's commands, for those who have one. */
const commands = process.env['POSTFIX_COMMANDS'] ?? '/usr/sbin';
const run = fileURLToPath(new URL('../../src/commands/run.ts', import.meta.url));
const skip = existsSync(`${commands}/smtp-sink`) ? false : "Debian's postfix is not installed";
const isRoot = process.getuid!() === 0;

const place = mkdtempSync(`${tmpdir()}/postern-sink-`);
chmodSync(place, 0o777);
after(() => rmSync(place, { recursive: true }));

type Side = 'ours' | 'theirs';
const sides = ['ours', 'theirs'] as const;

/** Program and arguments. */
function commandLine(side: Side, name: string, words: readonly string[]): [string, string[]] {
  return side === 'ours' ? [process.execPath, [run, name, ...words]] : [`${commands}/${name}`, [...words]];
}

interface Sink {
  readonly port: number;
  readonly child: ChildProcess;
  readonly stdout: () => string;
  readonly stderr: () => string;
  readonly ended: Promise<number | null>;
}

const children = new Set<ChildProcess>();
after(() => { for (const child of children) child.kill(); });

async function startSink(side: Side, name: string, words: readonly string[]): Promise<Sink> {
  const port = await freePort();
  const user = name === 'smtp-sink' && isRoot ? ['-u', 'nobody'] : [];
  const [program, args] = commandLine(side, name, [...user, ...words, `127.0.0.1:${port}`, '100']);
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], cwd: place });
  children.add(child);
  const [out, err]: [Buffer[], Buffer[]] = [[], []];
  child.stdout!.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr!.on('data', (chunk: Buffer) => err.push(chunk));
  const ended = new Promise<number | null>((resolve) => { child.on('close', resolve); });
  await listening(port, child);
  return { port, child, ended, stdout: () => Buffer.concat(out).toString('latin1'), stderr: () => Buffer.concat(err).toString('latin1') };
}

/** Until the kernel lists the port as listened to: asking by a connection would be counted. */
async function listening(port: number, child: ChildProcess): Promise<void> {
  const wanted = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')} 00000000:0000 0A`;
  while (!readFileSync('/proc/net/tcp', 'latin1').includes(wanted)) {
    assert.equal(child.exitCode, null, 'the sink is running');
    await turn();
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => { setImmediate(resolve); });
}

async function stop(sink: Sink): Promise<void> {
  sink.child.kill();
  await sink.ended;
}

/** What a sink answers: each step is bytes and the number of replies to wait for. */
function play(port: number, steps: readonly (readonly [text: string, replies: number])[]): Promise<string> {
  return new Promise((resolve) => {
    let [heard, wanted, at] = ['', 1, 0];
    const socket = net.connect(port, '127.0.0.1');
    socket.on('data', (chunk) => {
      heard += chunk.toString('latin1');
      while (at < steps.length && (heard.match(/^[0-9]{3}(?: .*)?\r\n/gm) ?? []).length >= wanted) {
        const [text, replies] = steps[at++]!;
        wanted += replies;
        socket.write(text, 'latin1');
      }
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(heard));
    socket.on('end', () => socket.end());
  });
}

const quit = ['QUIT\r\n', 1] as const;
const mail = 'MAIL FROM:<a@example.test>\r\n';
const rcpt = 'RCPT TO:<b@example.test>\r\n';
const letter = 'Subject: x\r\n\r\n..dot\r\n.\r\n';

const ordinary = [
  ['EHLO client.example.test\r\n', 1], ['helo client\r\n', 1], [`${rcpt}${mail}${mail}${rcpt}DATA\r\n`, 5], [letter, 1], ['NOOP\r\nRSET\r\nVRFY x\r\n', 3],
  ['\r\nFOO bar\r\nXCLIENT NAME=x\r\nXFORWARD NAME=y\r\nAUTH PLAIN xx\r\n', 5], ['DATA\r\n', 1], [`${mail}DATA\r\n${rcpt.toLowerCase()}data\r\n`, 4], ['.\r\n', 1], quit,
] as const;

const sinkCases: readonly (readonly [options: readonly string[], steps: readonly (readonly [string, number])[]])[] = [
  [[], ordinary], [['-8', '-a', '-C', '-E', '-F', '-N', '-p'], ordinary], [['-e'], ordinary], [['-P'], ordinary], [['-h', 'other.example.test'], ordinary],
  [['-L'], [['EHLO x\r\n', 1], ['LHLO x\r\n', 1], [`${mail}${rcpt}${rcpt}DATA\r\n`, 4], [letter, 2], quit]],
  [['-r', 'rcpt, DATA'], [[`EHLO x\r\n${mail}${rcpt}`, 3], ['DATA\r\n', 1], quit]],
  [['-f', '.,vrfy', '-B', '554 5.7.1 No'], [[`EHLO x\r\nVRFY x\r\n${mail}${rcpt}DATA\r\n`, 5], [letter, 1], quit]],
  [['-L', '-r', '.', '-b', '451 4.2.0 Later'], [[`LHLO x\r\n${mail}${rcpt}${rcpt}DATA\r\n`, 5], [letter, 2], quit]],
  [['-q', 'mail'], [['HELO x\r\n', 1], [mail, 1]]], [['-Q', 'rcpt'], [[`HELO x\r\n${mail}`, 2], [rcpt, 1]]], [['-q', 'connect'], []], [['-Q', 'CONNECT'], []], [['-f', 'connect'], [quit]],
  [['-A', '0'], [[`EHLO x\r\n${mail}${rcpt}DATA\r\n`, 5]]],
  [['-w', '1'], [[`EHLO x\r\n${mail}${rcpt}DATA\r\n`, 4], [letter, 1], quit]],
  [['-W', 'noop:1', '-H', '1'], [['NOOP\r\n', 1], [`EHLO x\r\n${mail}${rcpt}DATA\r\n`, 4], [letter, 1], quit]],
];

describe('smtp-sink', { skip, concurrency: 4 }, () => {
  for (const [options, steps] of sinkCases) {
    test(`answers: ${options.join(' ') || 'no options'}`, async () => {
      const [ours, theirs] = await Promise.all(sides.map(async (side) => {
        const sink = await startSink(side, 'smtp-sink', ['-c', ...options]);
        const heard = await play(sink.port, steps);
        while (!sink.stdout().includes('sess=1 ')) await turn();
        await stop(sink);
        return { heard, counters: sink.stdout().split('\r').at(-2) ?? '' };
      }));
      assert.deepEqual(ours, theirs);
    });
  }

  for (const option of ['-d', '-D']) {
    test(`captures: ${option}`, async () => {
      const captured = await Promise.all(sides.map(async (side) => {
        const directory = `${place}/${side}${option}`;
        mkdirSync(directory);
        chmodSync(directory, 0o777);
        const sink = await startSink(side, 'smtp-sink', [option, `${directory}/%Y/mail.`, '-S', 'From\\040me\\n', '-h', 'sink.example.test']);
        await play(sink.port, [
          ['EHLO client.example.test\r\n', 1], [`${mail}RSET\r\n${mail}RCPT TO:  <b@example.test> NOTIFY=NEVER\r\n${rcpt}DATA\r\n`, 6], [letter, 1],
          [`${mail}${rcpt}DATA\r\n`, 3], ['line one\rstill\nbare\r\n\r\n.\r\n', 1], quit,
        ]);
        await stop(sink);
        const files = readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((name) => name.includes('/'));
        return files.map((name) => readFileSync(`${directory}/${name}`, 'latin1')).sort().map(withoutChance);
      }));
      assert.deepEqual(captured[0], captured[1]);
      assert.equal(captured[0]!.length, option === '-d' ? 2 : 1);
    });
  }

  test('ends after so many messages, or sessions', async () => {
    for (const [options, status] of [[['-M', '1'], 0], [['-c', '-n', '1'], 0]] as const) {
      const sink = await startSink('ours', 'smtp-sink', options);
      await play(sink.port, [[`HELO x\r\n${mail}${rcpt}DATA\r\n`, 4], [letter, 1], quit]);
      assert.equal(await sink.ended, status);
    }
  });

  test('a command line without an end', async () => {
    const sink = await startSink('ours', 'smtp-sink', []);
    assert.equal(await play(sink.port, [['x'.repeat(100_000), 1]]), '220 smtp-sink ESMTP\r\n');
    await stop(sink);
    assert.equal(sink.stderr(), 'smtp-sink: warning: command line too long\n');
  });
});

function withoutChance(text: string): string {
  return text.replace(/ id [0-9a-f]{8};/g, ' id X;').replace(/^\t[A-Z][a-z]{2}, .*/gm, '\tDATE').replace(/^Date: .*/gm, 'Date: X').replace(/<[0-9a-f]+\.[0-9a-f]+\.[0-9a-f]+@/g, '<ID@');
}

/** What their library says about itself at `-v`; before 3.8 the number of a recipient stood in front of its name. */
function alike(text: string): string {
  const lines = text.split('\n').filter((line) => !/: (?:name_mask|smtp_get|smtp_stream_setup|vstream_tweak_tcp|inet_|fd=[0-9]+|been_here|mynetworks|valid_|warning: valid_)/.test(line));
  return lines.join('\n').replace(/<[0-9]*(foo|joe\+|u)[0-9]*@/g, '<$1@');
}

/** The two programs with the same words: what they said, and how they ended. */
function both(name: string, words: readonly string[]): Promise<{ status: number | null; stdout: string; stderr: string }[]> {
  return Promise.all(sides.map((side) => {
    const [program, args] = commandLine(side, name, words);
    return new Promise<{ status: number | null; stdout: string; stderr: string }>((resolve) => {
      const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
      const [out, err]: [Buffer[], Buffer[]] = [[], []];
      child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
      child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
      child.on('close', (status) => resolve({ status, stdout: Buffer.concat(out).toString('latin1'), stderr: Buffer.concat(err).toString('latin1').replaceAll(`${commands}/`, '') }));
    });
  }));
}

const sourceCases: readonly (readonly [sink: readonly string[], options: readonly string[]])[] = [
  [[], ['-v']], [[], ['-c', '-m', '3', '-d']], [['-L'], ['-v', '-L', '-r', '2', '-m', '2', '-d']], [[], ['-v', '-o', '-N', '-t', 'joe+@x.example']],
  [['-r', 'mail'], ['-v']], [['-r', 'mail'], ['-v', '-A', '-m', '2']], [['-f', 'rcpt'], ['-v', '-A', '-r', '2']], [['-r', 'data'], ['-A']], [['-f', '.'], ['-A', '-v']],
  [['-f', '.'], []], [['-Q', 'rcpt'], ['-A', '-v']], [['-q', 'data'], ['-v']], [['-f', 'connect'], []], [['-r', 'helo'], ['-A', '-v']],
  [[], ['-v', '-f', 'from@x.example', '-t', 'to@x.example', '-S', 'subject', '-M', '[192.0.2.1]']],
];

describe('smtp-source', { skip, concurrency: 4 }, () => {
  for (const [sinkOptions, options] of sourceCases) {
    test(`says: ${[...options, 'to a sink', ...sinkOptions].join(' ')}`, async () => {
      const sink = await startSink('theirs', 'smtp-sink', sinkOptions);
      const [ours, theirs] = await both('smtp-source', [...options, `127.0.0.1:${sink.port}`]);
      await stop(sink);
      assert.deepEqual({ ...ours, stderr: alike(ours!.stderr) }, { ...theirs, stderr: alike(theirs!.stderr) });
    });
  }

  test('sends the same message', async () => {
    writeFileSync(`${place}/letter`, 'Subject: file\n\n.dot\nlast');
    for (const options of [['-l', '1000'], ['-l', '80'], ['-S', 'x'], ['-F', `${place}/letter`], ['-o'], ['-r', '3', '-t', 'u@x.example'], []]) {
      const messages = await Promise.all(sides.map(async (side) => {
        const directory = mkdtempSync(`${place}/message-`);
        chmodSync(directory, 0o777);
        const sink = await startSink('theirs', 'smtp-sink', ['-d', `${directory}/m.`]);
        const [program, args] = commandLine(side, 'smtp-source', [...options, '-M', 'client.example.test', `127.0.0.1:${sink.port}`]);
        const child = spawn(program, args, { stdio: 'ignore' });
        await new Promise((resolve) => { child.on('close', resolve); });
        await stop(sink);
        return readdirSync(directory).map((name) => alike(withoutChance(readFileSync(`${directory}/${name}`, 'latin1'))));
      }));
      assert.deepEqual(messages[0], messages[1]);
      assert.equal(messages[0]!.length, 1);
    }
  });

  test('many sessions, and a message larger than the network takes at once, into our sink', async () => {
    const sink = await startSink('ours', 'smtp-sink', ['-c']);
    for (const words of [['-s', '20', '-m', '200', '-l', '5000'], ['-d', '-s', '5', '-m', '50'], ['-l', '20000000']]) {
      const [ours, theirs] = await both('smtp-source', [...words, `127.0.0.1:${sink.port}`]);
      assert.deepEqual([ours, theirs].map((each) => each), Array(2).fill({ status: 0, stdout: '', stderr: '' }));
    }
    await stop(sink);
    assert.match(sink.stdout(), /mesg=502\r/);
    assert.equal(sink.stderr(), '');
  });

  test('over a UNIX-domain socket', async () => {
    const path = `${place}/socket`;
    const [program, args] = commandLine('ours', 'smtp-sink', [...(isRoot ? ['-u', 'nobody'] : []), '-M', '1', `unix:${path}`, '10']);
    const sink = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    children.add(sink);
    while (!existsSync(path)) await turn();
    const ended = new Promise((resolve) => { sink.on('close', resolve); });
    const [ours] = [spawnSync(...commandLine('ours', 'smtp-source', ['-C', '100', `unix:${path}`]), { encoding: 'latin1' })];
    assert.deepEqual([ours!.status, ours!.stdout], [0, '']);
    assert.equal(await ended, 0);
  });
});

const wrong: readonly (readonly [name: string, words: readonly string[]])[] = [
  ['smtp-source', []], ['smtp-source', ['-m', '0', 'x']], ['smtp-source', ['-M', 'a..b', 'x']], ['smtp-source', ['-M', '[x', 'x']], ['smtp-source', ['-w', '1', '-R', '1', 'x']],
  ['smtp-source', ['-l', '1', '-F', 'x', 'x']], ['smtp-source', ['127.0.0.1:1']], ['smtp-source', ['-C', '2', '127.0.0.1:1']], ['smtp-source', ['[127.0.0.1']],
  ['smtp-source', ['-F', '/nonexistent', '127.0.0.1:1']], ['smtp-source', ['unix:/nonexistent/socket']], ['smtp-source', ['127.0.0.1:nosuch-service']],
  ['smtp-sink', []], ['smtp-sink', ['-u', 'nobody', ':1', '0']], ['smtp-sink', ['-f', 'nosuch', ':1', '1']], ['smtp-sink', ['-b', '500 x', ':1', '1']],
  ['smtp-sink', ['-W', 'noop', ':1', '1']], ['smtp-sink', ['-W', 'noop:0', ':1', '1']], ['smtp-sink', ['-W', 'noop:1:100', ':1', '1']], ['smtp-sink', ['-d', 'a', '-D', 'b', ':1', '1']],
  ['smtp-sink', ['-u', 'nobody', '[::1', '1']], ['qmqp-source', []], ['qmqp-source', ['-l', '0', 'x']], ['qmqp-source', ['127.0.0.1:1']], ['qmqp-sink', []],
];

/** Debian's is older: its usage lines name fewer options, and it sees less that is wrong with a name. */
function words(text: string): string {
  return alike(text).replace(/(fatal: usage: [a-z-]+)[^\n]*/g, '$1');
}

describe('what makes no sense', { skip, concurrency: 4 }, () => {
  for (const [name, args] of wrong) {
    test(`${name} ${args.join(' ')}`, async () => {
      const [ours, theirs] = await both(name, args);
      assert.deepEqual({ ...ours, stderr: words(ours!.stderr) }, { ...theirs, stderr: words(theirs!.stderr) });
      assert.notEqual(ours!.stderr, '');
    });
  }
});

describe('QMQP', { skip }, () => {
  for (const side of sides) {
    test(`both sources, and the sink that is ${side}`, async () => {
      const sink = await startSink(side, 'qmqp-sink', ['-c']);
      for (const options of [['-c', '-m', '3'], ['-s', '5', '-m', '20', '-r', '3'], ['-l', '3000000']]) {
        const [ours, theirs] = await both('qmqp-source', [...options, `127.0.0.1:${sink.port}`]);
        assert.deepEqual(ours, theirs);
        assert.equal(ours!.status, 0);
      }
      await stop(sink);
      assert.match(sink.stdout(), /\r48\r$/);
    });
  }

  test('the same bytes', async () => {
    const sent = await Promise.all(sides.map(async (side) => {
      const [port, got] = await oneRequest();
      const [program, args] = commandLine(side, 'qmqp-source', ['-r', '2', '-l', '300', '-f', 'a@x.example', '-t', 'b@x.example', '-M', 'client.example.test', `127.0.0.1:${port}`]);
      spawn(program, args, { stdio: 'ignore' });
      return (await got).replace(/Date: .*/, 'Date: X').replace(/<[0-9]+@/, '<ID@').replace(/^X+\n/gm, '');
    }));
    assert.equal(sent[0], sent[1]);
    assert.match(sent[0]!, /,11:a@x\.example,12:0b@x\.example,12:1b@x\.example,,$/);
  });

  for (const [reply, says] of [['4:Zbad,', 'recoverable error: bad'], ['3:Dno,', 'unrecoverable error: no'], ['2:?!,', 'unknown error: !'], ['x', 'netstring format error while receiving server reply'], ['', 'lost connection while receiving server reply']] as const) {
    test(`a server that says ${JSON.stringify(reply)}`, async () => {
      const server = net.createServer((socket) => socket.on('error', () => {}).once('data', () => socket.end(reply)));
      await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
      const [ours] = await both('qmqp-source', [`127.0.0.1:${(server.address() as net.AddressInfo).port}`]);
      server.close();
      assert.deepEqual(ours, { status: 1, stdout: '', stderr: `qmqp-source: fatal: ${says}\n` });
    });
  }
});

/** A server that takes one request, and what it got. */
async function oneRequest(): Promise<[port: number, got: Promise<string>]> {
  const server = net.createServer();
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const got = new Promise<string>((resolve) => {
    server.once('connection', (socket) => {
      let text = '';
      socket.on('error', () => {}).on('data', (chunk) => {
        text += chunk.toString('latin1');
        const [, length = '0'] = /^([0-9]+):/.exec(text) ?? [];
        if (text.length < Number(length) + length.length + 2) return;
        socket.end('3:KOk,');
        server.close();
        resolve(text);
      });
    });
  });
  return [(server.address() as net.AddressInfo).port, got];
}
