/** A mail system for crowds: smtpd with STARTTLS on one port, a maildir for joe@example.test, and descriptors to count. */
import { chownSync, mkdirSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { instanceAccounts } from '../../tools/accounts.mjs';
import { freePort, Instance } from '../instance.ts';
import { masterRows } from '../master-rows.ts';

const keys = fileURLToPath(new URL('../dialogues/tls.pem', import.meta.url));

export interface HordeScene {
  readonly instance: Instance;
  readonly port: number;
  /** With a handshake before the greeting. */
  readonly tlsPort: number;
  delivered(): number;
}

/** `maxproc`: of the plain port. */
export async function openScene(mainCf = '', maxproc = '-'): Promise<HordeScene> {
  const [port, tlsPort] = [await freePort(), await freePort()];
  const instance = await Instance.create({
    compiled: true,
    masterCf: `127.0.0.1:${port} inet n - n - ${maxproc} smtpd
127.0.0.1:${tlsPort} inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
${masterRows('pickup cleanup qmgr rewrite bounce defer trace smtp error retry discard local virtual anvil showq tlsmgr')}
`,
  });
  const { uid, gid } = instanceAccounts();
  mkdirSync(`${instance.directory}/mail`);
  chownSync(`${instance.directory}/mail`, uid, gid);
  instance.mainCf(`mydestination = local.example.test
local_recipient_maps = inline:{ ann=x }
alias_maps =
virtual_mailbox_domains = example.test
virtual_mailbox_maps = inline:{ joe@example.test=joe/ }
virtual_mailbox_base = ${instance.directory}/mail
virtual_uid_maps = static:${uid}
virtual_gid_maps = static:${gid}
virtual_minimum_uid = 1
mynetworks = 192.0.2.0/24
smtpd_peername_lookup = no
smtpd_tls_security_level = may
smtpd_tls_chain_files = ${keys}
${mainCf}`);
  await instance.start();
  return {
    instance, port, tlsPort,
    delivered: () => {
      try {
        return readdirSync(`${instance.directory}/mail/joe/new`).length;
      } catch {
        return 0;
      }
    },
  };
}
