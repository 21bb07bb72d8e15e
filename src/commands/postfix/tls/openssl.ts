/**
 * openssl(1), as openssl_path names it: it writes certificates and requests. The one of the default instance serves all.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { Configuration, configDirectory } from '../../../config/configuration.ts';
import type { Log } from '../../../log/log.ts';

export interface Openssl { readonly path: string }

/** A fatal line when there is none that works. */
export function findOpenssl(config: Configuration, log: Log): Openssl {
  const usual = configDirectory(undefined, {});
  const source = usual !== config.directory && existsSync(`${usual}/main.cf`) ? Configuration.load(usual) : config;
  const path = source.get('openssl_path');
  const { status } = spawnSync(path, ['version'], { stdio: 'ignore' });
  if (status !== 0) log.fatal(`No working openssl(1) command found with 'openssl_path = ${path}'`);
  return { path };
}

interface Names { readonly key: string; readonly hosts: readonly string[] }

/** Days: about a hundred years. Who looks at such a certificate looks at its key. */
const lifetime = 36_525;

/** Both files are taken away when it fails. */
export function selfSigned({ path }: Openssl, { key, certificate, hosts }: Names & { readonly certificate: string }, log: Log): void {
  const words = ['req', '-x509', '-new', '-key', key, '-subj', `/CN=${hosts[0]}`, '-days', String(lifetime), '-out', certificate];
  const input = settings(['x509_extensions = v3'], ['basicConstraints = CA:false'], hosts);
  if (run(path, words, input, log).status === 0) return;
  for (const file of [certificate, key]) rmSync(file, { force: true });
  log.fatal('error generating self-signed SSL certificate');
}

/** The request, as PEM text. */
export function signingRequest({ path }: Openssl, { key, hosts }: Names, log: Log): string {
  const words = ['req', '-new', '-key', key, '-subj', '/'];
  const { status, stdout } = run(path, words, settings(['req_extensions = v3'], [], hosts), log);
  return status === 0 ? stdout : log.fatal('error generating a certificate signing request');
}

/** The settings go through a file of our own: what Node gives a child to read from cannot be opened by its name. */
function run(path: string, words: readonly string[], config: string, log: Log): { status: number | null; stdout: string } {
  const directory = mkdtempSync(`${tmpdir()}/postfix-tls-`);
  try {
    writeFileSync(`${directory}/config`, Buffer.from(config, 'latin1'), { mode: 0o600 });
    const given = [words[0]!, '-config', `${directory}/config`, ...words.slice(1)].map((word) => Buffer.from(word, 'latin1').toString('utf8'));
    const { status, stdout, stderr } = spawnSync(path, given, { stdio: ['ignore', 'pipe', 'pipe'] });
    if (status !== 0) for (const line of String(stderr ?? '').split('\n').filter((each) => each !== '')) log.warning(line);
    return { status, stdout: String(stdout ?? '') };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** config(5ssl). A host's name must not become another setting. */
function settings(request: readonly string[], extensions: readonly string[], hosts: readonly string[]): string {
  const names = hosts.map((host, index) => `DNS.${index + 1} = ${host.replace(/[^A-Za-z0-9._*-]/g, '?')}`);
  return [
    'default_md = sha256', ...request, 'prompt = yes', 'distinguished_name = dn', '[dn]', '[v3]', ...extensions, 'subjectKeyIdentifier = hash',
    'extendedKeyUsage = serverAuth, clientAuth', 'subjectAltName = @alts', '[alts]', ...names, '',
  ].join('\n');
}
