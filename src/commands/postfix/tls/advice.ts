/**
 * What an operator hears of `postfix tls` when it has done its work, or has not. Pure.
 */
export const clientAdvice = `*** Non-default SMTP client TLS settings detected, no changes made.
Opportunistic TLS in the SMTP client usually is:
  smtp_tls_security_level = may
  smtp_tls_loglevel = 1
  smtp_tls_session_cache_database = lmdb:\${data_directory}/smtp_scache`;

const reload = `Run the command:
  # postfix reload
if you want the new settings to take effect immediately.`;

export const clientDeployed = `Enabled opportunistic TLS in the Postfix SMTP client.
${reload}`;

export const serverAdvice = `*** Non-default SMTP server TLS settings detected, no changes made.
Opportunistic TLS in the SMTP server usually is:
  smtpd_tls_security_level = may
  smtpd_tls_loglevel = 1
"postfix tls new-server-cert" makes a new certificate, "postfix tls new-server-key" a new private key as well.
Where DANE TLSA records are published, the new ones come first: see RFC 7671, sections 5.1, 5.2 and 8.`;

export function serverDeployed(enables: boolean): string {
  return `${enables ? 'Enabled opportunistic TLS in the Postfix SMTP server\n' : ''}New TLS private key and certificate deployed.
${reload}`;
}

interface Made {
  readonly certificate: string;
  readonly key: string;
  readonly deployed: boolean;
  readonly isNewKey: boolean;
}

export function advice({ certificate, key, deployed, isNewKey }: Made): string {
  const lines = [
    deployed ? serverDeployed(true) : `New private key and self-signed certificate created. To deploy run:\n  # postfix tls deploy-server-cert ${certificate} ${key}`,
    `To generate a CSR run:\n  # postfix tls output-server-csr -k ${key} [<hostname> ...]`,
    `Save the signed certificate chain in ${certificate}${deployed ? '.' : ', and deploy as above.'}`,
    `To generate TLSA records run:\n  # postfix tls output-server-tlsa [-h <hostname>]${deployed ? '' : ` ${key}`}`,
  ];
  if (isNewKey) lines.push(deployed
    ? '(If you have DANE TLSA RRs, update them as soon as possible to match\nthe newly deployed keys).'
    : '(deploy after updating the DNS and waiting for stale RRs to expire).');
  return lines.join('\n');
}
