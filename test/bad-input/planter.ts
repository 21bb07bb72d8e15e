/**
 * Somebody who may write to a maildrop, and means no good. Run as a program, by whatever user: `planter.ts DIRECTORY ROOT-FILE < order`,
 * where the order (JSON) says how much of each. Says as JSON what was planted; what the system does not allow is left out.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { text } from 'node:stream/consumers';
import { encodeRecord } from '../../src/message/record.ts';

export interface Order {
  /** Good messages, to `good-N@sink.test`. */
  readonly good: number;
  /** Of each kind of thing that is no message and never will be. */
  readonly junk: number;
  /** Bytes of the large file. */
  readonly large: number;
}

/** What a message of this user's that claims more than it may looks like; keys are local parts of recipients. */
const claims: Readonly<Record<string, readonly string[]>> = {
  'claims-client': ['Alog_client_name=trusted.sink.test', 'Aclient_name=trusted.sink.test', 'Alog_client_address=192.0.2.1', 'Alog_ident=GOOD'],
  'claims-login': ['Asasl_method=PLAIN', 'Asasl_username=root', 'Asasl_sender=root@sink.test'],
  'claims-filter': ['Lsmtp:[192.0.2.2]', '>elsewhere@sink.test'],
  'claims-trace': ['Atrace_flags=1023'],
  'breaks-line': ['Adsn_envid=one\nRCPT TO:<injected@sink.test>'],
};

export const records = (...texts: string[]): Buffer => Buffer.concat(texts.map((each) => encodeRecord(each.charCodeAt(0), each.slice(1))));

function message(recipient: string, extra: readonly string[] = [], body: readonly string[] = []): Buffer {
  return records('T1700000000', ...extra, 'Suser@sink.test', `R${recipient}@sink.test`, 'M', `NSubject: ${recipient}`, 'N', ...body.map((line) => `N${line}`), 'X', 'E');
}

/** Names of the maildrop: letters and digits, as queue ids have. */
let count = 0;
const name = (kind: string): string => `${kind}${(++count).toString(16).toUpperCase().padStart(8, '0')}`;

function plant(directory: string, rootFile: string, { good, junk, large }: Order): Record<string, number> {
  const planted: Record<string, number> = {};
  const attempt = (kind: string, work: () => void): void => {
    try {
      work();
      planted[kind] = (planted[kind] ?? 0) + 1;
    } catch (error) {
      if (!['EPERM', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
  };
  const file = (path: string, content: Buffer | string, mode = 0o744): void => {
    fs.writeFileSync(`${directory}/${path}`, content, { mode: 0o600, flag: 'wx' });
    fs.chmodSync(`${directory}/${path}`, mode);
  };
  for (let at = 0; at < junk; at++) {
    attempt('unfinished', () => file(name('A'), message('unfinished'), 0o600));
    attempt('unreadable', () => file(name('B'), message('unreadable'), 0o700));
    attempt('links', () => fs.symlinkSync(at % 2 === 0 ? rootFile : '/etc/passwd', `${directory}/${name('C')}`));
    attempt('directories', () => fs.mkdirSync(`${directory}/${name('D')}`));
    attempt('empty', () => file(name('E'), ''));
    attempt('half', () => file(name('F'), message('half').subarray(0, 30 + (at % 20))));
  }
  const pipes = Array.from({ length: junk }, () => `${directory}/${name('A')}`);
  for (let at = 0; at < pipes.length; at += 500) execFileSync('mkfifo', ['-m', '744', ...pipes.slice(at, at + 500)]);
  attempt('hard link to a file of root', () => fs.linkSync(rootFile, `${directory}/${name('A')}`));
  attempt('hard links', () => {
    const path = name('B');
    file(path, message('linked'));
    fs.linkSync(`${directory}/${path}`, `${directory}/${name('C')}`);
  });
  attempt('single letters', () => {
    fs.mkdirSync(`${directory}/A`);
    file(`A/${name('A')}`, message('below'));
    fs.symlinkSync(directory, `${directory}/B`);
  });
  for (const odd of ['new\nline', 'escape\x1b[2J', '..A', '.hidden', 'dot.ted', 'A b', '-rf', `A${'B'.repeat(200)}`, 'caf\u00e9', '\u202e\ufeff']) attempt('odd names', () => file(odd, message('odd')));
  attempt('odd bytes', () => fs.writeFileSync(Buffer.concat([Buffer.from(`${directory}/`), Buffer.from([0xff, 0xfe, 0x01])]), message('odd'), { mode: 0o744 }));
  attempt('long records', () => file(name('F'), Buffer.concat([records('T1', 'Suser@sink.test', 'Rlong@sink.test', 'M'), Buffer.from('N\xff\xff\xff\xff\x7f', 'latin1'), Buffer.alloc(100_000, 65)])));
  attempt('pointers', () => file(name('F'), records('T1', 'Suser@sink.test', 'Rpointer@sink.test', 'p              0', 'M', 'X', 'E')));
  attempt('old', () => {
    const path = name('F');
    file(path, message('old'));
    fs.utimesSync(`${directory}/${path}`, -1_000_000, -1_000_000);
  });
  attempt('large', () => {
    const path = name('F');
    const line = records(`N${'x'.repeat(1000)}`);
    file(path, Buffer.concat([records('T1', 'S', 'Rlarge@sink.test', 'M'), ...Array.from({ length: Math.ceil(large / line.length) }, () => line), records('X', 'E')]));
  });
  for (const [recipient, extra] of Object.entries(claims)) attempt('claims', () => file(name('F'), message(recipient, extra)));
  attempt('dots', () => file(name('F'), message('dots', [], ['.', 'MAIL FROM:<injected@sink.test>', '.\r', '\n.\nRCPT TO:<injected@sink.test>', 'From joe'])));
  for (let at = 0; at < good; at++) attempt('good', () => file(name('F'), message(`good-${at}`)));
  return planted;
}

if (import.meta.main) {
  process.umask(0);
  const [directory, rootFile] = process.argv.slice(2);
  process.stdout.write(JSON.stringify(plant(directory!, rootFile!, JSON.parse(await text(process.stdin)) as Order)));
}
