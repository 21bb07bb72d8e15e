/**
 * The rows of master.cf that this release can serve, each with its daemon; what cannot be served is said once, with file and line.
 */
import { existsSync } from 'node:fs';
import { describeTrouble, readMasterCf, type MasterRow } from '../../config/master-cf.ts';
import { checkPipeArguments } from '../../config/pipe-arguments.ts';
import { nearestName as nearest } from '../../text/nearest.ts';
import type { Log } from '../../log/log.ts';
import { knownDaemon, knownPrograms, laterPrograms, needlessPrograms } from '../daemons.ts';
import { isDisabled } from './endpoints.ts';
import { rowKey, type Candidate } from './placement.ts';
import type { MasterSettings } from './settings.ts';

/** Reads master.cf. Rows in `apart` get a process of their own. Throws ConfigurationError when the file cannot be read. */
export function readServices(settings: MasterSettings, apart: ReadonlySet<string>, log: Log): Candidate[] {
  const file = `${settings.config.directory}/master.cf`;
  const { rows, troubles } = readMasterCf(file, { warn: (text) => log.warning(text) });
  for (const trouble of troubles) log.error(`${describeTrouble(trouble)} -- this service is not started`);
  const later: MasterRow[] = [];
  const candidates: Candidate[] = [];
  for (const row of rows) {
    if (isDisabled(row, settings.disabled) || needlessPrograms.has(row.program)) continue;
    if (laterPrograms.has(row.program)) later.push(row);
    else candidates.push(...candidate(row, settings, apart, log));
  }
  if (later.length > 0) log.warning(`${file}: not part of this release, and not started: ${later.map(({ service, line }) => `${service} (line ${line})`).join(', ')}`);
  return candidates;
}

function candidate(row: MasterRow, settings: MasterSettings, apart: ReadonlySet<string>, log: Log): Candidate[] {
  const daemon = knownDaemon(row.program);
  const [trouble] = checkPipeArguments(row);
  if (daemon !== undefined && trouble === undefined)
    return [{ row, daemon, oneClient: clientsPerProcess(row, settings) === 1, apart: apart.has(rowKey(row)) }];
  const text = trouble?.text ?? unknownProgram(row, settings);
  log.error(`${describeTrouble({ file: row.file, line: row.line, text })} -- service "${row.service}" is not started`);
  return [];
}

function unknownProgram({ program }: MasterRow, { daemonDirectory }: MasterSettings): string {
  const near = nearest(program, knownPrograms());
  if (near !== undefined) return `unknown program "${program}" (did you mean ${near}?)`;
  const there = existsSync(`${daemonDirectory}/${program}`) ? ': programs that are not ours cannot be daemons' : '';
  return `unknown program "${program}"${there} (known are ${knownPrograms().join(', ')})`;
}

function clientsPerProcess(row: MasterRow, { config, processClients }: MasterSettings): number {
  const own = row.overrides.some(([name]) => name === 'process_clients');
  return own ? config.withOverrides(row.overrides).get('process_clients') : processClients;
}
