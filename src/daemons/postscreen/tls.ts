/** TLS of postscreen(8): postscreen_tls_* as the settings of a TlsService. A client that gets to STARTTLS here never gets to smtpd(8). */
import type { Tools } from '../../server/daemon.ts';
import { levelOf, TlsService } from '../../server/tls-service.ts';
import { parentsMatch } from '../../tables/mail-address-find.ts';
import { openMaps } from '../../tables/maps.ts';
import { sniChains } from '../../tables/sni-chains.ts';
import type { TableContext } from '../../tables/table.ts';
import { TlsLogLevels } from '../../tables/tls-log-levels.ts';

const parameters = [
  'postscreen_tls_security_level', 'postscreen_use_tls', 'postscreen_enforce_tls', 'postscreen_starttls_timeout', 'postscreen_tls_CAfile',
  'postscreen_tls_CApath', 'postscreen_tls_ask_ccert', 'postscreen_tls_ccert_verifydepth', 'postscreen_tls_cert_file', 'postscreen_tls_chain_files',
  'postscreen_tls_ciphers', 'postscreen_tls_dcert_file', 'postscreen_tls_dh1024_param_file', 'postscreen_tls_dkey_file', 'postscreen_tls_eccert_file',
  'postscreen_tls_eckey_file', 'postscreen_tls_exclude_ciphers', 'postscreen_tls_fingerprint_digest', 'postscreen_tls_key_file', 'postscreen_tls_loglevel',
  'postscreen_tls_loglevel_maps', 'postscreen_tls_mandatory_ciphers', 'postscreen_tls_mandatory_exclude_ciphers', 'postscreen_tls_mandatory_protocols',
  'postscreen_tls_protocols', 'postscreen_tls_req_ccert', 'tls_server_sni_maps', 'tls_append_default_CA', 'tls_high_cipherlist', 'tls_medium_cipherlist',
  'tls_null_cipherlist', 'tls_eecdh_auto_curves', 'tls_ffdhe_auto_groups', 'tls_preempt_cipherlist', 'tls_ssl_options', 'tls_disable_workarounds',
  'tls_session_ticket_cipher', 'tlsmgr_service_name', 'smtpd_tls_session_cache_timeout',
  'smtpd_tls_session_cache_database',
] as const;

export function openTls(tools: Tools, context: TableContext): TlsService {
  const { config, log } = tools;
  const view = config.view(parameters);
  const level = levelOf({
    text: view.postscreen_tls_security_level, parameter: 'postscreen_tls_security_level', isWrapped: false, authOnly: false,
    use: view.postscreen_use_tls, enforce: view.postscreen_enforce_tls,
  }, log);
  const levels = new TlsLogLevels({
    parameter: 'postscreen_tls_loglevel', usual: view.postscreen_tls_loglevel, log,
    maps: openMaps(view.postscreen_tls_loglevel_maps, context, 'postscreen_tls_loglevel_maps'),
    parents: parentsMatch('postscreen_tls_loglevel_maps', context),
  });
  return new TlsService(tools, {
    levels, chainsFor: sniChains(view.tls_server_sni_maps, context), wantsDetails: false,
    settings: {
      ...view, prefix: 'postscreen', level,
      tls_chain_files: view.postscreen_tls_chain_files,
      tls_cert_file: view.postscreen_tls_cert_file,
      tls_key_file: view.postscreen_tls_key_file,
      tls_dcert_file: view.postscreen_tls_dcert_file,
      tls_dkey_file: view.postscreen_tls_dkey_file,
      tls_eccert_file: view.postscreen_tls_eccert_file,
      tls_eckey_file: view.postscreen_tls_eckey_file,
      tls_CAfile: view.postscreen_tls_CAfile,
      tls_CApath: view.postscreen_tls_CApath,
      tls_ask_ccert: view.postscreen_tls_ask_ccert,
      tls_req_ccert: view.postscreen_tls_req_ccert,
      tls_ccert_verifydepth: view.postscreen_tls_ccert_verifydepth,
      tls_fingerprint_digest: view.postscreen_tls_fingerprint_digest,
      tls_protocols: view.postscreen_tls_protocols,
      tls_mandatory_protocols: view.postscreen_tls_mandatory_protocols,
      tls_ciphers: view.postscreen_tls_ciphers,
      tls_mandatory_ciphers: view.postscreen_tls_mandatory_ciphers,
      tls_exclude_ciphers: view.postscreen_tls_exclude_ciphers,
      tls_mandatory_exclude_ciphers: view.postscreen_tls_mandatory_exclude_ciphers,
      tls_dh1024_param_file: view.postscreen_tls_dh1024_param_file,
      starttls_timeout: view.postscreen_starttls_timeout,
      tls_session_cache_timeout: view.smtpd_tls_session_cache_timeout,
      tls_session_cache_database: view.smtpd_tls_session_cache_database,
    },
  });
}
