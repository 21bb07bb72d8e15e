// Old-style database tables: `mysql:accounts` takes its settings from main.cf, from accounts_hosts, accounts_user, ...; newer
// ones have a file of their own, whose unknown names are warned of.
import { readFileSync, statSync } from 'node:fs';
import { splitListGroups } from '../../text/ascii.ts';
import { parseMainCf, systemText } from '../../config/main-cf.ts';
import { expandOrEnd } from './expansion.ts';
import type { ServiceRow } from './service-rows.ts';
import type { NameScan } from './user-parameters.ts';

type Flag = (name: string, row: ServiceRow | undefined) => void;

const suffixes: ReadonlyMap<string, readonly string[]> = new Map(Object.entries({
  ldap: 'bind bind_dn bind_pw cache cache_expiry cache_size chase_referrals debuglevel dereference domain expansion_limit leaf_result_attribute query_filter recursion_limit result_attribute result_filter result_format sasl_authz_id sasl_mechs sasl_minssf sasl_realm scope search_base server_host server_port size_limit special_result_attribute start_tls terminal_result_attribute timeout tls_ca_cert_dir tls_ca_cert_file tls_cert tls_cipher_suite tls_key tls_random_file tls_require_cert version',
  mysql: 'additional_conditions charset dbname domain expansion_limit hosts idle_interval option_file option_group password query require_result_set result_format retry_interval select_field table tls_CAfile tls_CApath tls_cert_file tls_ciphers tls_key_file tls_verify_cert user where_field',
  pgsql: 'additional_conditions dbname domain encoding expansion_limit hosts idle_interval password query result_format retry_interval select_field select_function table user where_field',
  sqlite: 'additional_conditions dbpath domain expansion_limit query result_format select_field table where_field',
  memcache: 'backup data_size_limit domain flags key_digest key_format line_size_limit max_try memcache retry_pause timeout ttl',
  mongodb: 'collection dbname domain expansion_limit projection query_filter result_attribute result_format uri',
}).map(([type, names]) => [type, names.split(' ')]));

const patternTypes = new Set(['regexp', 'pcre']);

export class DatabaseNames {
  readonly #scan: NameScan;
  readonly #flag: Flag;
  readonly #seen = new Set<string>();

  constructor(scan: NameScan, flag: Flag) {
    this.#scan = scan;
    this.#flag = flag;
  }

  /** Looks for tables in the expanded value of a parameter. */
  visit(value: string, row: ServiceRow | undefined): void {
    if (!/[:$#{]/.test(value)) return;
    this.#visitText(expandOrEnd(this.#scan.table, this.#scan.console, value, row), row, true);
  }

  // Nobody knows here whether this really is a list of tables; what looks like one is taken for one.
  #visitText(text: string, row: ServiceRow | undefined, inner: boolean): void {
    for (const word of splitListGroups(text)) {
      if (word[0] === '#') {
        const behind = text.slice(text.indexOf(word) + word.length + 1);
        this.#scan.console.warn(`${this.#file(row)}: #comment after other text is not allowed: ${word} ${behind.slice(0, 20)}...`);
        return;
      }
      if (word[0] === '{') {
        if (inner) this.#visitText(this.#withoutBraces(word, row), row, inner);
      } else this.#visitTable(word, row, inner);
    }
  }

  #visitTable(word: string, row: ServiceRow | undefined, inner: boolean): void {
    const [, type, name] = /^(?:(?:proxy|debug):)*([^:]*):([^]*)$/.exec(word) ?? [];
    if (type === undefined || name === undefined || type === 'proxy' || type === 'debug') return;
    const names = suffixes.get(type);
    if (name[0] === '/') {
      if (names) this.#checkFile(type, name, names);
    } else if (name[0] === '{') this.#visitText(this.#withoutBraces(name, row), row, inner && !patternTypes.has(type));
    else if (names && name[0] !== '.') for (const suffix of names) this.#flag(`${name}_${suffix}`, row);
  }

  #withoutBraces(word: string, row: ServiceRow | undefined): string {
    if (word.endsWith('}')) return word.slice(1, -1);
    const where = row ? `${this.#file(row)}:${row.nameSpace}` : this.#file(row);
    this.#scan.console.warn(`${where}: missing '}' in "${word}"`);
    return word.slice(1);
  }

  #file(row: ServiceRow | undefined): string {
    return `${this.#scan.table.configuration.directory}/${row ? 'master.cf' : 'main.cf'}`;
  }

  #checkFile(type: string, file: string, known: readonly string[]): void {
    const table = `${type}:${file}`;
    if (this.#seen.has(table)) return;
    this.#seen.add(table);
    const { console, quiet } = this.#scan;
    let text: string;
    try {
      if (!statSync(file).isFile()) return console.warn(`open "${type}" configuration "${file}": not a regular file`);
      text = readFileSync(file, 'latin1');
    } catch (error) {
      // Some of these hold passwords and are not for everyone's eyes.
      if ((error as NodeJS.ErrnoException).code !== 'EACCES') console.warn(`open "${type}" configuration "${file}": ${systemText(error)}`);
      return;
    }
    for (const [name, { value }] of parseMainCf(text, file, console.warn))
      if (!quiet && !known.includes(name)) console.warn(`${table}: unused parameter: ${name}=${value}`);
  }
}
