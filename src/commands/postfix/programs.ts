/**
 * Other programs' complaints as a part of a check: postconf(1) knows which settings nobody uses, postsuper(1) what lies in the wrong place.
 */
import { spawn } from 'node:child_process';
import { runPostconf } from '../within.ts';
import type { Known, Reporter, Severity } from './findings.ts';
import { program, type Situation } from './situation.ts';

/** Once for each unused or deprecated name, on standard error or as findings. */
export async function reportUnused(situation: Situation, reporter?: Reporter): Promise<void> {
  const { config, stderr } = situation;
  const sink = { write: () => undefined };
  if (!reporter?.captures) return void await runPostconf(config.directory, ['-n'], { stdout: sink, stderr });
  const answer = await runPostconf(config.directory, ['-n'], { stdout: sink });
  for (const line of answer.stderr.split('\n')) reportLine(line, reporter, (name) => originOf(situation, line, name));
}

/** postconf's complaint names the file; of main.cf we know the line as well. */
function originOf({ config }: Situation, line: string, name: string): Known {
  const file = `${config.directory}/main.cf`;
  const origin = line.includes(`${file}: `) ? config.settings.get(name) : undefined;
  return origin === undefined ? {} : { file: origin.file, line: origin.line };
}

const severities: ReadonlyMap<string, Severity> = new Map<string, Severity>([['warning', 'warning'], ['error', 'error'], ['fatal', 'error']]);

function reportLine(line: string, reporter: Reporter, known: (parameter: string) => Known): void {
  const [, severity, text] = /^[a-z]+: (warning|error|fatal): ([^]+)$/.exec(line) ?? [];
  if (text === undefined) return;
  reporter.report(severities.get(severity!)!, text, known(/: (?:unused parameter|accepted, not yet used): ([^=]+)=|parameter "?([a-z0-9_]+)/.exec(text)?.slice(1).find(Boolean) ?? ''));
}

/** Are all queue files where they belong? Runs beside other checks; the answer is false when the queue could not be looked at. */
export function checkQueueFiles({ config, environment }: Situation, reporter: Reporter): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn(program.postsuper, ['-c', Buffer.from(config.directory, 'latin1').toString('utf8')], {
      stdio: ['ignore', 'inherit', reporter.captures ? 'pipe' : 'inherit'], env: environment,
    });
    const said: Buffer[] = [];
    child.stderr?.on('data', (chunk: Buffer) => said.push(chunk));
    child.on('error', (error) => {
      reporter.report('error', `cannot execute ${program.postsuper}: ${error.message}`);
      resolve(false);
    });
    child.on('close', (status) => {
      for (const line of Buffer.concat(said).toString('latin1').split('\n')) reportLine(line, reporter, () => ({}));
      resolve(status === 0);
    });
  });
}
