/** What mutt(1), unmodified, shows of a message in a mailbox: its parts with their types, decoded. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';

const programs = ['/usr/bin/mutt', '/usr/bin/script'];

/** Why it cannot run here; false: it can. */
export const noMutt = programs.filter((program) => !existsSync(program)).map((program) => `${program} is not installed`)[0] ?? false;

/** Rejects when mutt does not end by itself or shows nothing. */
export async function shownByMutt(message: string): Promise<string> {
  const home = mkdtempSync(`${tmpdir()}/mutt-`);
  try {
    for (const name of ['Mail', 'box', 'box/new', 'box/cur', 'box/tmp']) mkdirSync(`${home}/${name}`);
    writeFileSync(`${home}/box/new/1.1.here`, message, 'latin1');
    // Its display filter gets what stands on the screen, before lines are wrapped.
    writeFileSync(`${home}/rc`, `set wait_key=no confirmappend=no move=no charset=utf-8 display_filter="cat > ${home}/shown"\npush "<display-message><exit><exit>"\n`);
    await onTerminal(`mutt -n -F ${home}/rc -R -f ${home}/box`, home);
    // Mutt marks its own lines, so that no message can imitate them.
    return readFileSync(`${home}/shown`, 'latin1').replace(/\x1b\]9;[0-9]+\x07/g, '');
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

/** Mutt wants a terminal: script(1) makes one. Its input stays open until it ends. */
function onTerminal(command: string, home: string): Promise<void> {
  const child = spawn('script', ['-qec', command, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'], env: { PATH: '/usr/bin:/bin', HOME: home, TERM: 'vt100' }, timeout: 20_000 });
  let screen = '';
  child.stdout.on('data', (chunk: Buffer) => { screen += chunk.toString('latin1'); });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => (status === 0 && existsSync(`${home}/shown`) ? resolve() : reject(new Error(`mutt ended with status ${status}: ${screen}`))));
  });
}
