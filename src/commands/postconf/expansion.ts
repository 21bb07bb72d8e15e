// Expansion in commands: what cannot be expanded is warned of and ends the command.
import { LevelError } from '../../config/comparison.ts';
import { ExpansionError } from '../../config/expand.ts';
import type { Console } from './output.ts';
import { Fatal } from './output.ts';
import type { ServiceRow } from './service-rows.ts';
import type { ParameterTable } from './table.ts';

export function expandOrEnd(table: ParameterTable, console: Console, text: string, row?: ServiceRow): string {
  try {
    return table.expand(text, row);
  } catch (error) {
    if (!isExpansionTrouble(error)) throw error;
    console.warn(error.message);
    throw new Fatal('macro processing error');
  }
}

export function isExpansionTrouble(error: unknown): error is ExpansionError | LevelError {
  return error instanceof ExpansionError || error instanceof LevelError;
}
