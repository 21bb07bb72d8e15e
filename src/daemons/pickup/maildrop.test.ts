import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import test, { type TestContext } from 'node:test';
import { ears } from '../../delivery/testing.ts';
import { cleanupFlag, cleanupStatus, externalFlags } from '../../ipc/cleanup.ts';
import { QueuePaths } from '../../queue/queue-paths.ts';
import { storeFor } from '../../queue/file-store.ts';
import { Maildrop, type MaildropSetup } from './maildrop.ts';
import { encoded, everyone, now, own, PretendedCleanup, queueDirectory } from './testing.ts';

const flags = externalFlags | cleanupFlag.bounce | cleanupFlag.autoUtf8;
const uid = process.getuid!();
const message = encoded('T1 2', 'Sme@example.org', 'Ryou@example.org', 'M', 'NSubject: x', 'X', 'E');

function bench(t: TestContext, changes: Partial<MaildropSetup> = {}) {
  const directory = queueDirectory(t);
  const cleanup = new PretendedCleanup();
  const { log, lines } = ears();
  const hashing = { hash_queue_names: '', hash_queue_depth: 1, enable_long_queue_ids: false };
  const maildrop = new Maildrop({
    store: storeFor(hashing), paths: new QueuePaths({ hashQueueNames: '', hashQueueDepth: 1 }), cleanup, log, own, flags, lineLimit: 2048,
    queueDirectory: '/queue', ownerUid: uid + 1, submitters: everyone, now: () => now, ...changes,
  });
  return { ...directory, cleanup, lines, maildrop };
}

test('complete files become messages and go away, others stay', async (t) => {
  const { put, files, cleanup, lines, maildrop } = bench(t);
  put('ABC1', message);
  put('ABC2', message, 0o644);
  put('dot.name', message);
  await maildrop.empty();
  assert.deepEqual(files(), ['ABC2', 'dot.name']);
  assert.deepEqual(cleanup.messages.map(({ fate, flags: wanted }) => [fate, wanted]), [['kept', flags]]);
  assert.deepEqual(lines, [`ID1: uid=${uid} from=<me@example.org>`]);
});

test('many files, in rounds', async (t) => {
  const { put, files, cleanup, maildrop } = bench(t);
  for (let number = 0; number < 100; number++) put(`ABC${number}`, message);
  await maildrop.empty();
  assert.deepEqual([files(), cleanup.messages.length], [[], 100]);
});

for (const [name, bytes, warning] of [
  ['garbage', 'garbage', `warning: uid=${uid}: unexpected or malformed record type -2`],
  ['an empty file', '', `warning: uid=${uid}: unexpected or malformed record type -1`],
  ['a file that ends early', message.subarray(0, -2), `warning: uid=${uid}: unexpected or malformed record type -1`],
  ['a file that is cut', message.subarray(0, -3), `warning: uid=${uid}: unexpected or malformed record type -2`],
  ['a line that is too long', encoded('T1', 'Sa', 'Rb', 'M', `N${'x'.repeat(2049)}`, 'X', 'E'), `warning: uid=${uid}: unexpected or malformed record type -2`],
  ['no sender', encoded('T1', 'Rb', 'M', 'X', 'E'), `warning: ID1: uid=${uid}: no envelope sender`],
] as const) {
  test(`removed with a warning: ${name}`, async (t) => {
    const { put, files, cleanup, lines, maildrop } = bench(t);
    put('ABC1', Buffer.from(bytes));
    await maildrop.empty();
    assert.deepEqual([files(), cleanup.messages.map(({ fate }) => fate)], [[], ['aborted']]);
    assert.equal(lines.at(-1), warning);
  });
}

test('links, directories and the like are passed over, with one warning each', async (t) => {
  const { put, files, lines, cleanup, maildrop } = bench(t, { now: () => Date.now() });
  fs.symlinkSync('/etc/passwd', 'maildrop/SYM');
  fs.mkdirSync('maildrop/DIR');
  execFileSync('mkfifo', ['-m', '700', 'maildrop/FIFO']);
  put('ABC1', message);
  fs.linkSync('maildrop/ABC1', 'elsewhere');
  await maildrop.empty();
  await maildrop.empty();
  assert.deepEqual(files(), ['DIR', 'FIFO', 'SYM']);
  assert.deepEqual(cleanup.messages, []);
  assert.deepEqual(lines.toSorted(), [
    `warning: maildrop/DIR: uid ${uid}: not a regular file`, `warning: maildrop/FIFO: uid ${uid}: not a regular file`, `warning: maildrop/SYM: uid ${uid}: not a regular file`,
    'warning: open input file maildrop/ABC1: file has 2 hard links',
  ]);
});

for (const [status, reason, left, warning] of [
  [cleanupStatus.write, '', ['ABC1'], 'warning: maildrop/ABC1: error writing ID1: queue file write error'],
  [cleanupStatus.size, 'told before', ['ABC1'], undefined],
  [cleanupStatus.noRecipients, '', [], 'warning: maildrop/ABC1: error writing ID1: no recipients specified'],
  [cleanupStatus.bad, '', [], 'warning: maildrop/ABC1: error writing ID1: internal protocol error'],
] as const) {
  test(`cleanup answers ${status}: ${left.length === 0 ? 'removed' : 'kept'}`, async (t) => {
    const { put, files, cleanup, lines, maildrop } = bench(t);
    cleanup.reply = { status, reason };
    put('ABC1', message);
    await maildrop.empty();
    assert.deepEqual(files(), left);
    assert.deepEqual(lines.slice(1), warning === undefined ? [] : [warning]);
  });
}

test('cleanup is out of reach: the files wait', async (t) => {
  const { put, files, cleanup, lines, maildrop } = bench(t);
  cleanup.down = true;
  put('ABC1', message);
  await maildrop.empty();
  assert.deepEqual([files(), lines], [['ABC1'], ['warning: maildrop/ABC1: public/cleanup: connection refused -- will try again later']]);
});

test('a file that cannot be read keeps no other from being taken', async (t) => {
  const pretended = new PretendedCleanup();
  let calls = 0;
  const open: PretendedCleanup['open'] = (options) => {
    if (++calls === 1) throw Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO', syscall: 'read' });
    return pretended.open(options);
  };
  const { put, files, lines, maildrop } = bench(t, { cleanup: { open } });
  put('ABC1', message);
  put('ABC2', message);
  await maildrop.empty();
  assert.deepEqual([files(), pretended.messages.length, calls], [[], 2, 3]);
  assert.match(lines[0]!, /^warning: maildrop\/ABC[12]: EIO: i\/o error, read -- will try again later$/);
});

for (const [name, checked] of [['all', true], ['a group', false]] as const) {
  test(`in a maildrop that ${name} may write to only the time is believed of what postdrop wrote, if it did`, async (t) => {
    const { put, cleanup, maildrop } = bench(t);
    fs.chmodSync('maildrop', checked ? 0o1733 : 0o730);
    put('ABC1', encoded('T1 2', 'Alog_client_name=trusted', 'Sme@example.org', 'Ryou@example.org', 'M', 'NSubject: x', 'X', 'E'));
    await maildrop.empty();
    const records = cleanup.messages[0]!.records;
    assert.deepEqual(records.filter((record) => record.includes('trusted')), []);
    assert.equal(records.includes('T1 2'), !checked);
  });
}

test('what postsuper -r put there is told apart, and not shown to Milters again', async (t) => {
  const { put, cleanup, lines, maildrop } = bench(t, { ownerUid: uid });
  put('ABC1', message, 0o700);
  await maildrop.empty();
  assert.deepEqual(lines, [`ID1: uid=${uid} from=<me@example.org> orig_id=ABC1`]);
  assert.equal(cleanup.messages[0]!.flags, flags & ~(cleanupFlag.milter | cleanupFlag.autoUtf8));
});

for (const [name, age, warning] of [
  ['from the future', -3 * 3600, 'warning: ID1: message maildrop/ABC1 dated 10800 seconds into the future'],
  ['very old', 50 * 3600, 'warning: ID1: message maildrop/ABC1 has been queued for 2 days'],
] as const) {
  test(`a file ${name} is told of`, async (t) => {
    const { put, files, lines, maildrop } = bench(t);
    put('ABC1', message, 0o744, now / 1000 - age);
    await maildrop.empty();
    assert.deepEqual([files(), lines[0]], [[], warning]);
  });
}

test('where every user may write, records are checked as postdrop would', async (t) => {
  const { put, files, cleanup, lines, maildrop } = bench(t);
  fs.chmodSync('maildrop', 0o1733);
  put('ABC1', encoded('T1 2', 'Asasl_username=boss', 'Sme', 'Ryou', 'M', 'X', 'E'), 0o740);
  await maildrop.empty();
  put('ABC2', encoded('Sme', '>other', 'Ryou', 'M', 'X', 'E'), 0o740);
  await maildrop.empty();
  put('ABC3', encoded('Sme', 'p              0', 'Ryou', 'M', 'X', 'E'), 0o740);
  await maildrop.empty();
  assert.deepEqual(files(), []);
  assert.deepEqual(cleanup.messages.map(({ fate }) => fate), ['kept', 'aborted', 'aborted']);
  assert.deepEqual(cleanup.messages[0]!.records, ['T1800000000', 'Sme', 'Ryou', 'M', 'X']);
  assert.deepEqual(lines, [
    `warning: uid=${uid}: ignoring attribute record: sasl_username=boss`, `ID1: uid=${uid} from=<me>`,
    `warning: uid=${uid}: unexpected record type: 62`, `warning: uid=${uid}: unexpected record type: 112`,
  ]);
});

test('where every user may write, the lists of users hold', async (t) => {
  const { put, files, cleanup, lines, maildrop } = bench(t, { submitters: { refused: () => 'mallory', maySendAs: () => true } });
  fs.chmodSync('maildrop', 0o1733);
  put('ABC1', message, 0o740);
  await maildrop.empty();
  assert.deepEqual([files(), cleanup.messages, lines], [[], [], [`warning: User mallory(${uid}) is not allowed to submit mail`]]);
});
