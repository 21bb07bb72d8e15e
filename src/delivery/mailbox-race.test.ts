/** Someone swaps a mailbox for links to another file while mail arrives (the race of CVE-2008-2936): the other file stays as it is. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { Mailboxes, type MailboxTarget } from './mailbox.ts';
import { ears } from './testing.ts';

const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'mailbox-race-'));
after(() => fs.rmSync(directory, { recursive: true }));
// Root's own links in root's own directories may lead elsewhere: the attacker is somebody else.
const self = process.getuid!() === 0 ? { uid: 65533, gid: 65532 } : { uid: process.getuid!(), gid: process.getgid!() };
fs.chownSync(directory, self.uid, self.gid);
const [box, victim] = [`${directory}/joe`, `${directory}/victim`];

/** Runs until its input ends. A file, a symbolic link, a second name, nothing: the mailbox is all of these in turn. */
const swapper = `const fs = require('fs'); let on = true; process.stdin.on('end', () => { on = false; }).resume();
const [box, victim] = process.argv.slice(1); const make = [(to) => fs.writeFileSync(to, ''), (to) => fs.symlinkSync(victim, to), (to) => fs.linkSync(victim, to)];
let turn = 0; process.stdout.write('.');
(function swap() { for (let i = 0; i < 100; i++) { const to = box + '.next'; make[turn++ % 3](to); fs.renameSync(to, box); if (fs.existsSync(to)) fs.unlinkSync(to); if (turn % 5 === 0) fs.unlinkSync(box); }
  if (on) setImmediate(swap); else process.stdout.write(String(turn)); })();`;

async function* message(): AsyncGenerator<Buffer> {
  yield Buffer.from('From x\n\nintruder\n');
}

test('a link never leads mail into another file', async () => {
  fs.writeFileSync(victim, 'untouched\n', { mode: 0o600 });
  fs.chownSync(victim, self.uid, self.gid);
  const { log } = ears();
  const boxes = new Mailboxes(log, { attempts: 3, delay: 0, stale: 500_000, sleep: async () => undefined, now: () => Date.now() });
  const target: MailboxTarget = { path: box, openAs: self, writeAs: self, locks: { flock: true, fcntl: false, dotlock: false }, sizeLimit: 0, otherwise: '5.2.0' };
  const child = spawn(process.execPath, ['-e', swapper, box, victim], { ...self, stdio: ['pipe', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  const refusals = new Set<string>();
  let delivered = 0;
  for (let delivery = 0; delivery < 1000; delivery++) {
    const failure = await boxes.append(target, message);
    if (failure === undefined) delivered++;
    else refusals.add(failure.text);
  }
  const ended = once(child, 'exit');
  child.stdin.end();
  await ended;
  assert.equal(fs.readFileSync(victim, 'latin1'), 'untouched\n');
  assert.ok(delivered > 0, 'some deliveries found a file');
  assert.ok([...refusals].some((text) => /symbolic link|hard links|changed unexpectedly/.test(text)), [...refusals].join());
});
