import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import os from 'node:os';
import test, { type TestContext } from 'node:test';
import { Configuration } from '../config/configuration.ts';
import type { Log } from '../log/log.ts';
import { writeSendmailSocket } from './sendmail-socket.ts';

function bench(t: TestContext) {
  const directory = mkdtempSync(`${os.tmpdir()}/sendmail-socket-`);
  t.after(() => rmSync(directory, { recursive: true }));
  const warnings: string[] = [];
  const log = { warning: (text: string) => void warnings.push(text) } as unknown as Log;
  const write = (file: string, pickup = 'pickup'): void => writeSendmailSocket(
    new Configuration('/somewhere', new Map(), [['sendmail_socket_file', file], ['pickup_service_name', pickup]]), '/var/spool/x', 102, log);
  return { directory, warnings, write };
}

test('the socket and who serves it, for all to read, also where the file was before and whatever the umask', (t) => {
  const { directory, warnings, write } = bench(t);
  const file = `${directory}/sendmail.socket`;
  const before = process.umask(0o077);
  t.after(() => process.umask(before));
  write(file);
  write(file, 'other');
  assert.equal(readFileSync(file, 'latin1'), '/var/spool/x/public/other\n102\n');
  assert.equal(statSync(file).mode & 0o777, 0o644);
  assert.deepEqual([readdirSync(directory), warnings], [['sendmail.socket'], []]);
});

test('an instance that names no file, and is not the default one, writes none', (t) => {
  const { write, warnings } = bench(t);
  write('');
  assert.deepEqual(warnings, []);
});

test('trouble is told and does no harm', (t) => {
  const { directory, warnings, write } = bench(t);
  write(`${directory}/nowhere/file`);
  assert.deepEqual(warnings, [`cannot write ${directory}/nowhere/file: No such file or directory -- compiled sendmail programs run Node's instead`]);
});
