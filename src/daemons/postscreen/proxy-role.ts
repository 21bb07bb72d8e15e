/**
 * What tlsproxy(8) has to say about STARTTLS in postscreen(8), although there is no such process here.
 *
 * As in Postfix 3.12 a session goes by postscreen_tls_*. tlsproxy_tls_* may turn encryption off, and where they ask for something else than
 * postscreen_tls_* the log says so, once. What else Postfix compares (tlsproxy_tls_always_issue_session_ids) makes no difference here.
 */
import type { Log } from '../../log/log.ts';
import type { View } from '../../parameters/parameters.ts';
import type { Tools } from '../../server/daemon.ts';
import { canServe, levelOf, type TlsLevel } from '../../server/tls-service.ts';
import { lowerAscii } from '../../text/ascii.ts';

const parameters = [
  'tlsproxy_tls_security_level', 'tlsproxy_use_tls', 'tlsproxy_enforce_tls', 'tlsproxy_tls_loglevel', 'tlsproxy_tls_ccert_verifydepth', 'tlsproxy_tls_chain_files',
  'tlsproxy_tls_cert_file', 'tlsproxy_tls_key_file', 'tlsproxy_tls_dcert_file', 'tlsproxy_tls_dkey_file', 'tlsproxy_tls_eccert_file', 'tlsproxy_tls_eckey_file',
  'tlsproxy_tls_CAfile', 'tlsproxy_tls_CApath', 'tlsproxy_tls_protocols', 'tlsproxy_tls_mandatory_protocols', 'tlsproxy_tls_eecdh_grade',
  'tlsproxy_tls_dh1024_param_file', 'tlsproxy_tls_dh512_param_file', 'tlsproxy_tls_ask_ccert', 'tlsproxy_tls_req_ccert', 'tlsproxy_tls_fingerprint_digest',
  'postscreen_tls_loglevel', 'postscreen_tls_ccert_verifydepth', 'postscreen_tls_chain_files', 'postscreen_tls_cert_file', 'postscreen_tls_key_file',
  'postscreen_tls_dcert_file', 'postscreen_tls_dkey_file', 'postscreen_tls_eccert_file', 'postscreen_tls_eckey_file', 'postscreen_tls_CAfile',
  'postscreen_tls_CApath', 'postscreen_tls_protocols', 'postscreen_tls_mandatory_protocols', 'postscreen_tls_eecdh_grade', 'postscreen_tls_dh1024_param_file',
  'postscreen_tls_dh512_param_file', 'postscreen_tls_ask_ccert', 'postscreen_tls_req_ccert', 'postscreen_tls_fingerprint_digest', 'syslog_name',
] as const;

type Wishes = View<typeof parameters>;
type Side = 'tlsproxy' | 'postscreen';

/** Where one of postscreen's names a file, a difference is worth a word: it could be out of a real tlsproxy's reach. */
const files = ['chain_files', 'cert_file', 'key_file', 'dcert_file', 'dkey_file', 'eccert_file', 'eckey_file', 'CAfile', 'CApath'] as const;

export class ProxyRole {
  readonly #tools: Pick<Tools, 'config' | 'log'>;
  readonly #wishes: Wishes;
  readonly #client: TlsLevel;
  readonly #log: Log;
  /** Undefined: nobody has asked yet. */
  #isOn: boolean | undefined;
  #told = false;

  /** @param client of postscreen */
  constructor(tools: Pick<Tools, 'config' | 'log'>, client: TlsLevel) {
    this.#tools = tools;
    this.#wishes = tools.config.view(parameters);
    this.#client = client;
    this.#log = tools.log.tagged(`${this.#wishes.syslog_name}/tlsproxy`);
  }

  /** Is encryption turned off? Says so, as the two programs would. */
  refuses(label: string): boolean {
    this.#isOn ??= this.#begin();
    if (this.#isOn) return false;
    this.#log.info(`CONNECT from ${label}`);
    this.#log.warning('TLS server role is disabled by configuration');
    this.#tools.log.warning('problem receiving status from private/tlsproxy service');
    this.#log.info(`DISCONNECT ${label}`);
    return true;
  }

  /** What is not as tlsproxy expects it. */
  compare(log: Log): void {
    if (this.#told) return;
    this.#told = true;
    const [own, asked] = [fieldsOf(this.#wishes, 'tlsproxy', this.#level()), fieldsOf(this.#wishes, 'postscreen', this.#client)];
    const differences = own.flatMap((field, at) => (field === asked[at] ? [] : [`(server) '${field}' != (client) '${asked[at]!}'`]));
    if (differences.length === 0 || !files.some((name) => fileOf(this.#wishes, 'postscreen', name) !== '')) return;
    log.warning('request from tlsproxy server with unexpected settings');
    log.warning(differences.join('; '));
    log.warning('to avoid this warning, let tlsproxy_tls_* say what postscreen_tls_* say: the latter are used');
  }

  #begin(): boolean {
    const level = this.#level((text) => this.#log.warning(text));
    if (!level.isUsed) return false;
    const wishes = this.#wishes;
    const isPossible = canServe({
      prefix: 'tlsproxy', level, tls_chain_files: wishes.tlsproxy_tls_chain_files, tls_cert_file: wishes.tlsproxy_tls_cert_file, tls_key_file: wishes.tlsproxy_tls_key_file,
      tls_dcert_file: wishes.tlsproxy_tls_dcert_file, tls_dkey_file: wishes.tlsproxy_tls_dkey_file, tls_eccert_file: wishes.tlsproxy_tls_eccert_file,
      tls_eckey_file: wishes.tlsproxy_tls_eckey_file, tls_ask_ccert: wishes.tlsproxy_tls_ask_ccert, tls_req_ccert: wishes.tlsproxy_tls_req_ccert,
    }, this.#log);
    if (!isPossible) this.#log.warning("No server certs available. TLS can't be enabled");
    return isPossible;
  }

  /** A level that makes no sense would end tlsproxy, not postscreen. */
  #level(warn: (text: string) => void = () => {}): TlsLevel {
    const { tlsproxy_tls_security_level: text, tlsproxy_use_tls: use, tlsproxy_enforce_tls: enforce } = this.#wishes;
    const fatal = (mistake: string): never => {
      throw new LevelTrouble(mistake);
    };
    try {
      return levelOf({ text, parameter: 'tlsproxy_tls_security_level', isWrapped: false, authOnly: false, use, enforce }, { warning: warn, fatal });
    } catch (error) {
      if (!(error instanceof LevelTrouble)) throw error;
      warn(error.message);
      return { isUsed: false, isRequired: false, isWrapped: false, authOnly: false };
    }
  }
}

class LevelTrouble extends Error {}

function fieldsOf(wishes: Wishes, side: Side, { isRequired }: TlsLevel): string[] {
  const asks = wishes[`${side}_tls_ask_ccert`] || (isRequired && wishes[`${side}_tls_req_ccert`]);
  return [
    `log_level=${wishes[`${side}_tls_loglevel`]}`, `verifydepth=${wishes[`${side}_tls_ccert_verifydepth`]}`,
    ...files.map((name) => `${name}=${fileOf(wishes, side, name)}`),
    `protocols=${isRequired ? wishes[`${side}_tls_mandatory_protocols`] : wishes[`${side}_tls_protocols`]}`, `eecdh_grade=${wishes[`${side}_tls_eecdh_grade`]}`,
    `dh1024_param_file=${wishes[`${side}_tls_dh1024_param_file`]}`, `dh512_param_file=${wishes[`${side}_tls_dh512_param_file`]}`,
    `ask_ccert=${asks ? 1 : 0}`, `mdalg=${wishes[`${side}_tls_fingerprint_digest`]}`,
  ];
}

/** `none` is no file. */
function fileOf(wishes: Wishes, side: Side, name: typeof files[number]): string {
  const file = wishes[`${side}_tls_${name}`];
  return name === 'cert_file' && lowerAscii(file) === 'none' ? '' : file;
}
