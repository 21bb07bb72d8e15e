/**
 * The page that tells the results. Pure. Only what stands between the two marks is the bench's; text around it stays.
 */
import { ratios, type BySide, type Growth, type Latency, type Measured, type Results, type Row } from './results.ts';
import { figure, noise } from './statistics.ts';

const opening = '<!-- written by "npm run bench": begin -->';
const closing = '<!-- written by "npm run bench": end -->';

const frame = `# Performance

What \`npm run bench\` measured: Postern and Debian's Postfix on one machine, in turn, with the same driver (\`smtp-source\`), the same sink
(\`smtp-sink\`), the same disk, the same lines in main.cf, and the log on. The programs and how to run parts of it: \`npm run bench -- --help\`.

${opening}
${closing}
`;

function table(head: readonly string[], lines: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function rate(measured: Measured | undefined, pick: 'endToEnd' | 'accept'): string {
  return measured === undefined ? '-' : `${figure(measured[pick].median)} ±${noise(measured[pick]).toFixed(0)} %`;
}

function goalOf({ goal }: Row, found: number | undefined): string {
  if (goal === undefined) return '';
  return `${goal}${found === undefined ? '' : found >= goal ? ', reached' : ', **not reached**'}`;
}

function pair(row: Row, pick: (measured: Measured) => number | undefined): string {
  const side = (measured: Measured | undefined): string => (measured === undefined ? '-' : figure(pick(measured)));
  return `${side(row.postern)} / ${side(row.postfix)}`;
}

function rowCells(row: Row): string[] {
  const found = ratios(row);
  if (row.status !== 'measured') {
    return [row.title, row.variant, rate(row.postern, 'endToEnd'), rate(row.postfix, 'endToEnd'), `${row.status}: ${row.reason}`, goalOf(row, undefined), '', '', '', ''];
  }
  return [
    row.title, row.variant, rate(row.postern, 'endToEnd'), rate(row.postfix, 'endToEnd'), `**${figure(found?.endToEnd)}**`, goalOf(row, found?.endToEnd),
    figure(found?.accept), `${pair(row, ({ cpu }) => cpu.median)} (${figure(found?.cpu)})`, pair(row, ({ peakPss }) => peakPss),
    `${row.postern?.processes ?? '-'} / ${row.postfix?.processes ?? '-'}`,
  ];
}

function rowTable(rows: readonly Row[]): string {
  return table(['workload', 'Postfix is', 'Postern /s', 'Postfix /s', 'ratio', 'wanted', 'ratio of acceptance', 'CPU ms per message (ratio)', 'peak PSS MB', 'processes'], rows.map(rowCells));
}

function systemCallTable(rows: readonly Row[]): string {
  const counted = rows.filter(({ postern, postfix }) => postern?.systemCalls !== undefined || postfix?.systemCalls !== undefined);
  if (counted.length === 0) return 'System calls were not counted: strace was not there.';
  return table(['workload', 'Postfix is', 'system calls per message, Postern / Postfix'], counted.map((row) => [row.title, row.variant, pair(row, ({ systemCalls }) => systemCalls)]));
}

function flushTable(rows: readonly Row[]): string {
  const counted = rows.filter(({ postern }) => postern?.flushes !== undefined);
  if (counted.length === 0) return '';
  return `\n\n${table(['slow disk', 'Postfix is', 'flushes per message, Postern / Postfix'], counted.map((row) => [row.title, row.variant, pair(row, ({ flushes }) => flushes)]))}`;
}

function latencyTable({ postern, postfix }: BySide<Latency>): string {
  const cells = ({ accept, delivery }: Latency): string[] => [accept.p50, accept.p99, delivery.p50, delivery.p99].map(figure);
  return table(['ms', 'accepted p50', 'p99', 'delivered p50', 'p99'], [['Postern', ...cells(postern)], ['Postfix', ...cells(postfix)]]);
}

function growthTable(growth: readonly BySide<Growth>[]): string {
  const line = (name: string, { deferred, start, idlePss, peakPss, endToEnd, cpu }: Growth): string[] =>
    [deferred.toLocaleString('en'), name, ...[start, endToEnd, cpu, idlePss, peakPss].map(figure)];
  return table(['deferred messages', '', 'seconds from start to a fresh message delivered', 'relay /s', 'CPU ms per message', 'idle PSS MB', 'peak PSS MB'],
    growth.flatMap(({ postern, postfix }) => [line('Postern', postern), line('Postfix', postfix)]));
}

function machineText({ machine, versions, date, rounds, meter, quick }: Results): string {
  return `${date}. ${machine.cpu}, ${machine.cores} cores, ${machine.memory}, ${machine.kernel}, ${machine.fileSystem}. Postern ${versions.postern} on Node ${versions.node}; Postfix ${versions.postfix}.
Median of ${rounds} run${rounds === 1 ? '' : 's'} each, taken in turn; ± is half the distance between the lowest and the highest. CPU counted by ${meter}, the whole mail system.${quick ? '\n**A quick look with small counts, not a record.**' : ''}`;
}

function generated(results: Results): string {
  const { rows, idle, latency, growth } = results;
  const parts = [
    machineText(results),
    '![end-to-end rates, Postern to Postfix](relay.svg)',
    `## Rates, CPU, memory\n\nRates are messages per second until the sink (or the mailbox) has the last. "shipped" and "tuned" name the lines of main.cf, the same for both sides (\`tools/bench/main-cf.ts\`).\nDriver and sink share the machine's cores with the mail system, and count in the rates of both.\n\n${rowTable(rows)}`,
    `## System calls\n\nCounted by strace over all processes, for 1,000 messages.\n\n${systemCallTable(rows)}${flushTable(rows)}`,
    ...(idle === undefined ? [] : [`## Idle\n\n${table(['', 'PSS MB', 'processes'], [['Postern', figure(idle.postern.pss), String(idle.postern.processes)], ['Postfix', figure(idle.postfix.pss), String(idle.postfix.processes)]])}`]),
    ...(latency === undefined ? [] : [`## Time of one message\n\nMilliseconds from the opening of the connection, a connection per message, about a hundred messages per second over 20 sessions.\n\n${latencyTable(latency)}`]),
    ...(growth.length === 0 ? [] : [`## Long queues\n\n${growthTable(growth)}`]),
  ];
  return parts.join('\n\n');
}

/** The page with these results in it; `page` is what stands there now. */
export function reportPage(results: Results, page: string | undefined): string {
  const text = page?.includes(opening) && page.includes(closing) ? page : frame;
  const from = text.indexOf(opening) + opening.length;
  return `${text.slice(0, from)}\n\n${generated(results)}\n\n${text.slice(text.indexOf(closing))}`;
}

/** The same for a terminal, in short. */
export function summaryLines({ rows }: Results): string[] {
  const lines = rows.map((row) => {
    const found = ratios(row);
    const figures = found === undefined
      ? [`${row.status}: ${row.reason ?? ''}`]
      : [rate(row.postern, 'endToEnd'), rate(row.postfix, 'endToEnd'), figure(found.endToEnd), row.goal === undefined ? '' : String(row.goal), pair(row, ({ cpu }) => cpu.median), figure(found.cpu)];
    return [row.title, row.variant, ...figures];
  });
  return columns([['workload', 'main.cf', 'Postern /s', 'Postfix /s', 'ratio', 'wanted', 'CPU ms', 'CPU ratio'], ...lines]);
}

function columns(lines: readonly (readonly string[])[]): string[] {
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.filter((cells) => cells.length > 3).map((cells) => cells[column]?.length ?? 0)));
  return lines.map((cells) => cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ').trimEnd());
}
