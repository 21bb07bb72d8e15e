/** What a process sets about itself, locks, memory, zone and the road to the system log. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, closeSync, mkdtempSync, openSync, readFileSync, readSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isCloseOnExec, setCloseOnExec } from './descriptors.ts';
import { isRoot } from './identity.ts';
import { errnoName, errnoText, errorText } from './libc.ts';
import { lockPatiently, tryLock, type LockStyle } from './locks.ts';
import { droppable, proportionalSize, trimMemory } from './memory.ts';
import { allowOpenFiles, bootId, closeOnExecFrom, freeSpace, openFileLimit, setProcessName } from './process.ts';
import { listenUnix } from './sockets.ts';
import { SyslogSocket } from './syslog.ts';
import { zoneAt } from './zone.ts';

const folder = mkdtempSync(join(tmpdir(), 'postern-process-'));
const here = (file: string) => JSON.stringify(new URL(file, import.meta.url).href);
const script = (text: string, ...rest: string[]) => ['--input-type=module', '-e', text, ...rest];

test('errors are named and worded as the C library does', () => {
  assert.equal(errnoName(2), 'ENOENT');
  assert.equal(errnoText(2), 'No such file or directory');
  assert.throws(() => openSync('/no/such', 'r'), (error) => errorText(error) === 'No such file or directory');
  assert.equal(errorText(new Error('own words')), 'own words');
});

for (const style of ['flock', 'fcntl'] as LockStyle[]) {
  test(`${style}: another process is kept out until the lock is given up`, async () => {
    const path = join(folder, style);
    writeFileSync(path, '');
    const fd = openSync(path, 'r+');
    const other = spawn(process.execPath, script(`
      import { tryLock } from ${here('./locks.ts')};
      import { openSync } from 'node:fs';
      console.log(tryLock(openSync(${JSON.stringify(path)}, 'r+'), '${style}', 'exclusive'));
      process.stdin.resume();`), { stdio: ['pipe', 'pipe', 'inherit'] });
    assert.equal(String((await once(other.stdout!, 'data'))[0]), 'true\n');
    assert.equal(tryLock(fd, style, 'exclusive'), false);
    assert.equal(tryLock(fd, style, 'shared'), false);
    let asked = 0;
    const sleep = async () => { if (++asked === 2) { other.kill('SIGKILL'); await once(other, 'close'); } };
    assert.equal(await lockPatiently(fd, style, 'exclusive', { attempts: 2, delay: 1, sleep: async () => undefined }), false);
    assert.equal(await lockPatiently(fd, style, 'exclusive', { attempts: 5, delay: 1, sleep }), true);
    assert.equal(asked, 2);
    assert.equal(tryLock(fd, style, 'none'), true);
    closeSync(fd);
  });
}

test('a lock on what is no file throws', () => {
  assert.throws(() => tryLock(-1, 'flock', 'shared'), { code: 'EBADF' });
  assert.throws(() => tryLock(-1, 'fcntl', 'shared'), { code: 'EBADF' });
});

test('a child that asked for it dies with its parent', async () => {
  const child = `
    const { dieWithParent } = await import(${here('./process.ts')});
    if (!dieWithParent('SIGKILL', Number(process.argv[1]))) process.exit(1);
    process.stdout.write('ready'); setInterval(() => {}, 1000);`;
  const parent = spawn(process.execPath, script(`
    import { spawn } from 'node:child_process';
    spawn(process.execPath, ['--input-type=module', '-e', ${JSON.stringify(child)}, String(process.pid)], { stdio: ['ignore', 'inherit', 'inherit'] });`),
    { stdio: ['ignore', 'pipe', 'inherit'] });
  assert.equal(String((await once(parent.stdout!, 'data'))[0]), 'ready');
  parent.kill('SIGKILL');
  await once(parent.stdout!, 'close'); // comes only when the grandchild, which holds the pipe too, is gone
});

test('SIGUSR1 no longer opens the debugger', async () => {
  const child = spawn(process.execPath, script(`
    import { ignoreDebugSignal } from ${here('./process.ts')};
    ignoreDebugSignal();
    process.on('SIGUSR1', () => { console.log('signal'); process.exit(); });
    console.log('ready'); setInterval(() => {}, 1000);`), { stdio: ['ignore', 'pipe', 'pipe'] });
  await once(child.stdout!, 'data');
  let errors = '';
  child.stderr!.on('data', (bytes) => { errors += bytes; });
  child.kill('SIGUSR1');
  assert.equal(String((await once(child.stdout!, 'data'))[0]), 'signal\n');
  await once(child, 'close');
  assert.equal(errors, '');
});

test('close on exec from a descriptor on', () => {
  const fd = openSync('/dev/null', 'r');
  setCloseOnExec(fd, false);
  closeOnExecFrom(fd + 1);
  assert.equal(isCloseOnExec(fd), false);
  closeOnExecFrom(3);
  assert.equal(isCloseOnExec(fd), true);
  closeSync(fd);
});

test('name, boot and space', () => {
  setProcessName('a-name-longer-than-fifteen');
  assert.equal(readFileSync('/proc/self/comm', 'latin1'), 'a-name-longer-t\n');
  assert.match(bootId(), /^[0-9a-f-]{36}$/);
  assert.ok(freeSpace(folder) > 0);
});

test('chroot as root: the new root is the root, and privileges can be given up after it', { skip: isRoot() ? false : 'only root may chroot' }, () => {
  const jail = mkdtempSync(join(folder, 'jail-'));
  chmodSync(jail, 0o755);
  writeFileSync(join(jail, 'inside'), 'x');
  const run = spawnSync(process.execPath, script(`
    import { changeRoot, setNoNewPrivileges, hasNoNewPrivileges } from ${here('./process.ts')};
    import { becomeUser } from ${here('./identity.ts')};
    import { readdirSync } from 'node:fs';
    changeRoot(${JSON.stringify(jail)});
    setNoNewPrivileges();
    becomeUser({ uid: 65534, gid: 65534 });
    console.log(readdirSync('/').join(), process.cwd(), process.getuid(), hasNoNewPrivileges());`), { encoding: 'latin1' });
  assert.equal(run.stdout, 'inside / 65534 true\n', run.stderr);
});

test('memory given back: less than before, and everything still works', () => {
  const run = spawnSync(process.execPath, script(`
    import { trimMemory } from ${here('./memory.ts')};
    import { createHash } from 'node:crypto';
    import { gzipSync, gunzipSync } from 'node:zlib';
    const before = process.memoryUsage.rss();
    const dropped = trimMemory();
    const after = process.memoryUsage.rss();
    const { default: tls } = await import('node:tls');
    tls.createSecureContext();
    const text = new Intl.DateTimeFormat('de', { dateStyle: 'full', timeZone: 'UTC' }).format(0) + gunzipSync(gzipSync('x')) + createHash('md5').update('').digest('hex');
    console.log(JSON.stringify({ shrunk: after < before, dropped: dropped > 0, text }));`), { encoding: 'utf8' });
  assert.equal(run.status, 0, run.stderr);
  assert.deepEqual(JSON.parse(run.stdout), { shrunk: true, dropped: true, text: 'Donnerstag, 1. Januar 1970xd41d8cd98f00b204e9800998ecf8427e' });
});

const mapping = (head: string, own: number) => `${head}\nRss: 4 kB\nShared_Dirty:          0 kB\nPrivate_Dirty:         0 kB\nAnonymous:          ${own} kB\nSwap:               0 kB\nLocked:             0 kB\n`;

test('only clean read-only pages of files are dropped', () => {
  for (const [why, head, own, want] of [
    ['program text', '00400000-00401000 r-xp 00000000 fe:00 12    /bin/x', 0, 1],
    ['constants', '00400000-00401000 r--p 00000000 fe:00 12    /bin/x', 0, 1],
    ['relocated constants', '00400000-00401000 r--p 00000000 fe:00 12    /bin/x', 4, 0],
    ['variables', '00400000-00401000 rw-p 00000000 fe:00 12    /bin/x', 0, 0],
    ['shared', '00400000-00401000 r--s 00000000 fe:00 12    /x.lmdb', 0, 0],
    ['anonymous', '00400000-00401000 r-xp 00000000 00:00 0', 0, 0],
    ['kernel', '7ff000000000-7ff000001000 r-xp 00000000 00:00 0    [vdso]', 0, 0],
  ] as const) {
    assert.equal(droppable(mapping(head, own)).length, want, why);
  }
  const installedJustNow = mapping('00400000-00401000 r-xp 00000000 fe:00 12    /bin/x', 0).replace('Shared_Dirty:          0', 'Shared_Dirty:          4');
  assert.equal(droppable(installedJustNow).length, 1, 'the file itself is not on the disk yet');
  assert.deepEqual(droppable('00400000-00401000 r-xp 00000000 fe:00 12    /bin/x\nRss: 4 kB\n'), [], 'a kernel that does not tell');
  assert.ok(trimMemory() > 0 && proportionalSize()! > 0);
});

for (const [zone, time, offsetMinutes, abbreviation] of [
  ['UTC', 0, 0, 'UTC'],
  ['Europe/Berlin', Date.UTC(2026, 0, 1), 60, 'CET'],
  ['Europe/Berlin', Date.UTC(2026, 6, 1), 120, 'CEST'],
  ['Asia/Kolkata', Date.UTC(2026, 0, 1), 330, 'IST'],
  ['XYZ3:30', 0, -210, 'XYZ'],
] as const) {
  test(`zone ${zone} at ${time}`, () => {
    const run = spawnSync(process.execPath, script(`
      import { zoneAt } from ${here('./zone.ts')};
      console.log(JSON.stringify(zoneAt(${time})));`), { encoding: 'utf8', env: { TZ: zone } });
    assert.deepEqual(JSON.parse(run.stdout), { offsetMinutes, abbreviation }, run.stderr);
  });
}

test('the remembered zone is that of the time asked for', () => {
  assert.equal(zoneAt(0), zoneAt(899_999));
  assert.equal(zoneAt(Date.now()).offsetMinutes + new Date().getTimezoneOffset(), 0);
});

test('syslog: lines arrive; while the service is away they wait, then come in order with a count of the lost', () => {
  const path = join(folder, 'log');
  const work: (() => void)[] = [];
  const log = new SyslogSocket({ path, queueLimit: 2, schedule: (run) => work.push(run), lostLine: (count) => Buffer.from(`lost ${count}`) });
  const read = (fd: number) => { const bytes = Buffer.alloc(100); return bytes.toString('latin1', 0, readSync(fd, bytes)); };
  let service = listenUnix(path, { mode: 0o666, kind: 'dgram' });
  log.send(Buffer.from('one'));
  assert.equal(read(service), 'one');
  closeSync(service);
  unlinkSync(path);
  for (const line of ['two', 'three', 'four', 'five']) log.send(Buffer.from(line));
  assert.deepEqual(log.backlog, { waiting: 2, lost: 2 });
  assert.equal(work.length, 1);
  work.shift()!();
  assert.equal(work.length, 1, 'tries again while the service is away');
  service = listenUnix(path, { mode: 0o666, kind: 'dgram' });
  work.shift()!();
  assert.deepEqual([read(service), read(service), read(service)], ['two', 'three', 'lost 2']);
  assert.deepEqual([log.backlog, work.length], [{ waiting: 0, lost: 0 }, 0]);
  log.close();
  closeSync(service);
});

test('syslog: a full socket makes lines wait, not the process; a line too long is cut', () => {
  const path = join(folder, 'slow');
  const service = listenUnix(path, { mode: 0o666, kind: 'dgram' });
  const log = new SyslogSocket({ path, queueLimit: 5, schedule: () => undefined });
  for (let i = 0; log.backlog.lost === 0; i++) log.send(Buffer.from(`line ${i}`));
  assert.equal(log.backlog.waiting, 5);
  const bytes = Buffer.alloc(100);
  assert.equal(bytes.toString('latin1', 0, readSync(service, bytes)), 'line 0');
  log.close();
  const long = new SyslogSocket({ path: join(folder, 'long'), schedule: () => undefined });
  const other = listenUnix(join(folder, 'long'), { mode: 0o666, kind: 'dgram' });
  long.send(Buffer.alloc(4_000_000, 'x'));
  assert.ok(readSync(other, Buffer.alloc(4_000_000)) > 1000);
  long.close();
  closeSync(other);
  closeSync(service);
});

test('more descriptors are had where they may be had, and it is told whether they were', () => {
  assert.equal(allowOpenFiles(openFileLimit()), true);
  const { stdout } = spawnSync('prlimit', ['--nofile=50:50', process.execPath, ...script(`
    import { allowOpenFiles, openFileLimit } from ${here('./process.ts')};
    console.log(openFileLimit(), allowOpenFiles(40), allowOpenFiles(100) === (openFileLimit() === 100));`)], { encoding: 'latin1' });
  assert.equal(stdout, '50 true true\n');
});
