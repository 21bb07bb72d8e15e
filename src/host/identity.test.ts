/** Accounts as the C library knows them, and who we are after becoming someone. Parts that need root say so in their titles. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { asUser, becomeUser, getgrgid, getgrnam, getpwnam, getpwuid, isRoot } from './identity.ts';

const needsRoot = { skip: isRoot() ? false : 'only root can become another user' };
const nobody = { uid: 65534, gid: 65534 };

/** What /etc/passwd itself says. */
const passwd = readFileSync('/etc/passwd', 'latin1').split('\n').filter((line) => /^[a-z]/.test(line)).map((line) => line.split(':'));

test('every line of /etc/passwd is found by name and by id', () => {
  for (const [name = '', password, uid, gid, gecos, home, shell] of passwd) {
    const want = { name, password, uid: Number(uid), gid: Number(gid), gecos, home, shell };
    assert.deepEqual(getpwnam(name), want);
    assert.equal(getpwuid(want.uid)?.uid, want.uid);
  }
});

test('groups are found with their members', () => {
  for (const line of readFileSync('/etc/group', 'latin1').split('\n').filter((text) => /^[a-z]/.test(text))) {
    const [name = '', password, gid, members = ''] = line.split(':');
    assert.deepEqual(getgrnam(name), { name, password, gid: Number(gid), members: members === '' ? [] : members.split(',') });
    assert.equal(getgrgid(Number(gid))?.gid, Number(gid));
  }
});

test('unknown names and ids are undefined, odd names do no harm', () => {
  for (const name of ['no-such-login', '', 'x'.repeat(5000), 'caf\xe9', 'a\0b']) {
    assert.equal(getpwnam(name), undefined);
    assert.equal(getgrnam(name), undefined);
  }
  assert.equal(getpwuid(4_000_000_123), undefined);
  assert.equal(getgrgid(4_000_000_123), undefined);
});

function threadUids(): string[] {
  return readdirSync('/proc/self/task').map((task) => /^Uid:\t\d+\t(\d+)/m.exec(readFileSync(`/proc/self/task/${task}/status`, 'latin1'))![1]!);
}

test('asUser as root: this thread alone changes, and changes back', needsRoot, () => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-identity-'));
  writeFileSync(join(folder, 'secret'), 'x', { mode: 0o600 });
  asUser(nobody, () => {
    assert.equal(process.geteuid!(), nobody.uid);
    assert.equal(process.getegid!(), nobody.gid);
    assert.deepEqual(process.getgroups!(), [nobody.gid]);
    assert.throws(() => readFileSync(join(folder, 'secret')), { code: 'EACCES' });
    const uids = threadUids();
    assert.equal(uids.filter((uid) => uid === '65534').length, 1);
    assert.ok(uids.length > 1 && uids.filter((uid) => uid === '0').length === uids.length - 1);
  });
  assert.equal(process.geteuid!(), 0);
  assert.equal(readFileSync(join(folder, 'secret'), 'latin1'), 'x');
});

test('asUser as root: files belong to the user; a throw passes through and rights come back', needsRoot, () => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-identity-'));
  spawnSync('chmod', ['777', folder]);
  const path = join(folder, 'made');
  assert.throws(() => asUser(nobody, () => { writeFileSync(path, ''); throw new Error('later'); }), /later/);
  assert.equal(statSync(path).uid, nobody.uid);
  assert.deepEqual([process.geteuid!(), process.getegid!()], [0, 0]);
});

test('asUser as root: a promise is refused, another user inside is refused, the same user inside is fine', needsRoot, () => {
  assert.throws(() => asUser(nobody, async () => 1), /not synchronous/);
  assert.throws(() => asUser(nobody, () => asUser({ uid: 2, gid: 2 }, () => 1)), { code: 'EPERM' });
  assert.equal(asUser(nobody, () => asUser(nobody, () => process.geteuid!())), nobody.uid);
  assert.equal(process.geteuid!(), 0);
});

test('being oneself needs no rights', () => {
  const self = { uid: process.getuid!(), gid: process.getgid!() };
  assert.equal(asUser(self, () => 7), 7);
});

const child = `
  import { becomeUser, asUser } from ${JSON.stringify(new URL('./identity.ts', import.meta.url).href)};
  import { readFileSync, readdirSync } from 'node:fs';
  becomeUser(JSON.parse(process.argv[1]));
  const lines = readdirSync('/proc/self/task').map((t) => readFileSync('/proc/self/task/' + t + '/status', 'latin1'));
  const field = (name) => [...new Set(lines.map((text) => new RegExp('^' + name + ':\\\\s*(.*?)\\\\s*$', 'm').exec(text)[1]))];
  let back; try { process.setuid(0); back = 'became root again'; } catch (error) { back = error.code; }
  let other; try { asUser({ uid: 3, gid: 3 }, () => 1); } catch (error) { other = error.message; }
  console.log(JSON.stringify({ uid: field('Uid'), gid: field('Gid'), groups: field('Groups'), caps: field('CapEff'), back, other }));
`;

test('becomeUser as root: every thread, for good, without capabilities', needsRoot, () => {
  const run = spawnSync(process.execPath, ['--input-type=module', '-e', child, JSON.stringify(nobody)], { encoding: 'latin1' });
  assert.equal(run.status, 0, run.stderr);
  const { other, ...rest } = JSON.parse(run.stdout);
  const all = '65534\t65534\t65534\t65534';
  assert.deepEqual(rest, { uid: [all], gid: [all], groups: ['65534'], caps: ['0000000000000000'], back: 'EPERM' });
  assert.match(other, /cannot become uid 3: we run as uid 65534, and only root can/);
});

test('becomeUser for the user we are is nothing', () => {
  const uid = process.getuid!();
  if (uid !== 0) becomeUser({ uid, gid: process.getgid!() });
  assert.equal(process.getuid!(), uid);
});
