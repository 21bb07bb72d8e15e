/**
 * TLS of one smtpd service: smtpd_tls_* as the settings of a TlsService, and tls_server_sni_maps. How clients ask for it is encryption.ts.
 */
import type { Tools } from '../../server/daemon.ts';
import { levelOf, TlsService, type TlsServiceSettings } from '../../server/tls-service.ts';
import { parentsMatch } from '../../tables/mail-address-find.ts';
import { openMaps } from '../../tables/maps.ts';
import { sniChains } from '../../tables/sni-chains.ts';
import type { TableContext } from '../../tables/table.ts';
import { TlsLogLevels } from '../../tables/tls-log-levels.ts';

export type { Secured, TlsLevel } from '../../server/tls-service.ts';

export const tlsParameters = [
  'smtpd_tls_security_level', 'smtpd_use_tls', 'smtpd_enforce_tls', 'smtpd_tls_wrappermode', 'smtpd_tls_auth_only', 'smtpd_tls_chain_files',
  'smtpd_tls_cert_file', 'smtpd_tls_key_file', 'smtpd_tls_dcert_file', 'smtpd_tls_dkey_file', 'smtpd_tls_eccert_file', 'smtpd_tls_eckey_file', 'smtpd_tls_CAfile',
  'smtpd_tls_CApath', 'tls_append_default_CA', 'smtpd_tls_ask_ccert', 'smtpd_tls_req_ccert', 'smtpd_tls_ccert_verifydepth', 'smtpd_tls_fingerprint_digest',
  'tls_server_sni_maps', 'smtpd_tls_protocols', 'smtpd_tls_mandatory_protocols', 'smtpd_tls_ciphers', 'smtpd_tls_mandatory_ciphers',
  'smtpd_tls_exclude_ciphers', 'smtpd_tls_mandatory_exclude_ciphers', 'tls_high_cipherlist', 'tls_medium_cipherlist', 'tls_null_cipherlist',
  'tls_eecdh_auto_curves', 'tls_ffdhe_auto_groups', 'smtpd_tls_dh1024_param_file', 'tls_preempt_cipherlist', 'tls_ssl_options', 'tls_disable_workarounds',
  'smtpd_starttls_timeout', 'smtpd_tls_loglevel', 'smtpd_tls_loglevel_maps', 'smtpd_tls_received_header', 'tls_session_ticket_cipher', 'tlsmgr_service_name',
  'smtpd_tls_session_cache_timeout', 'smtpd_tls_session_cache_database',
] as const;

type View = ReturnType<typeof viewOf>;
const viewOf = (tools: Tools) => tools.config.view(tlsParameters);

export class ServerTls extends TlsService {
  /** For Received: headers: was a certificate asked for at all? */
  readonly asksCertificate: boolean;
  readonly showsReceived: boolean;

  constructor(tools: Tools, context: TableContext) {
    const view = viewOf(tools);
    super(tools, {
      settings: settingsOf(view, tools),
      levels: new TlsLogLevels({
        parameter: 'smtpd_tls_loglevel', usual: view.smtpd_tls_loglevel, maps: openMaps(view.smtpd_tls_loglevel_maps, context, 'smtpd_tls_loglevel_maps'),
        parents: parentsMatch('smtpd_tls_loglevel_maps', context), log: tools.log,
      }),
      chainsFor: sniChains(view.tls_server_sni_maps, context),
      wantsDetails: view.smtpd_tls_received_header,
    });
    this.asksCertificate = view.smtpd_tls_ask_ccert;
    this.showsReceived = view.smtpd_tls_received_header;
  }
}

function settingsOf(view: View, { log, config }: Tools): TlsServiceSettings {
  return {
    ...view, prefix: 'smtpd',
    level: levelOf({
      text: view.smtpd_tls_security_level, parameter: 'smtpd_tls_security_level', isWrapped: view.smtpd_tls_wrappermode, authOnly: view.smtpd_tls_auth_only,
      use: view.smtpd_use_tls, enforce: view.smtpd_enforce_tls,
    }, log),
    tls_chain_files: view.smtpd_tls_chain_files,
    tls_cert_file: view.smtpd_tls_cert_file,
    tls_key_file: view.smtpd_tls_key_file,
    tls_dcert_file: view.smtpd_tls_dcert_file,
    tls_dkey_file: view.smtpd_tls_dkey_file,
    tls_eccert_file: view.smtpd_tls_eccert_file,
    tls_eckey_file: view.smtpd_tls_eckey_file,
    tls_CAfile: view.smtpd_tls_CAfile,
    tls_CApath: view.smtpd_tls_CApath,
    tls_ask_ccert: view.smtpd_tls_ask_ccert,
    tls_req_ccert: view.smtpd_tls_req_ccert,
    tls_ccert_verifydepth: view.smtpd_tls_ccert_verifydepth,
    tls_fingerprint_digest: view.smtpd_tls_fingerprint_digest,
    tls_protocols: view.smtpd_tls_protocols,
    tls_mandatory_protocols: view.smtpd_tls_mandatory_protocols,
    tls_ciphers: view.smtpd_tls_ciphers,
    tls_mandatory_ciphers: view.smtpd_tls_mandatory_ciphers,
    tls_exclude_ciphers: view.smtpd_tls_exclude_ciphers,
    tls_mandatory_exclude_ciphers: view.smtpd_tls_mandatory_exclude_ciphers,
    tls_dh1024_param_file: view.smtpd_tls_dh1024_param_file,
    starttls_timeout: view.smtpd_starttls_timeout,
    hurried_timeout: config.withOverrides([['stress', 'yes']]).view(['smtpd_starttls_timeout']).smtpd_starttls_timeout,
    tls_session_cache_timeout: view.smtpd_tls_session_cache_timeout,
    tls_session_cache_database: view.smtpd_tls_session_cache_database,
  };
}
