/** Log lines of the SMTP client about TLS, made alike where Debian's Postfix is older than ours, and where luck decides. */

/**
 * Since 3.8 a certificate with the wrong name is Trusted where everything else is well, and an error of names comes last; the digests of
 * signatures are not known to us; a server that hangs up is heard of in two ways, whichever comes first.
 */
export function sameWords(lines: readonly string[], showsStatus: boolean): string[] {
  const isWrongName = lines.some((line) => / num=6[245]:/.test(line));
  return lines.map((line) => {
    const words = line.replace(/ (?:server|client)-digest SHA256/g, '').replace('key-exchange X', 'key-exchange x').replace(/ delay=[0-9.]+, delays=[0-9./]+,/, '')
      .replace(/: (?:Connection reset by peer|lost connection)$/, ': GONE');
    const status = showsStatus ? words : words.replace(/ tls=[^,]+,/, '');
    return isWrongName ? status.replace(/^(?:Unt|T)rusted TLS/, '(Un)trusted TLS').replace(/^(?:CA|server) (certificate.*) num=6[245]:.*$/, '$1 num=62:mismatch') : status;
  });
}
