/** LDAP URLs (RFC 4516): `ldap://host/base?attributes?scope?filter`. Byte strings; undefined for what is none, or not a good one. */
export interface LdapUrl {
  readonly base: string;
  readonly attributes: readonly string[];
  readonly scope: 'base' | 'one' | 'sub' | undefined;
  readonly filter: string;
}

export function isLdapUrl(text: string): boolean {
  return /^(?:ldap|ldaps|ldapi):\/\//i.test(text);
}

export function parseLdapUrl(text: string): LdapUrl | undefined {
  const [, path = ''] = /^[a-z]+:\/\/[^/?]*\/?([^]*)$/i.exec(text) ?? [];
  const parts = path.split('?').map(unquoted);
  if (!isLdapUrl(text) || parts.length > 5 || parts.includes(undefined)) return undefined;
  const [base = '', attributes = '', scope = '', filter = ''] = parts as string[];
  const kind = scope.toLowerCase();
  if (kind !== '' && kind !== 'base' && kind !== 'one' && kind !== 'sub') return undefined;
  return { base, attributes: attributes.split(',').filter((name) => name !== ''), scope: kind === '' ? undefined : kind, filter: filter || '(objectClass=*)' };
}

function unquoted(text: string): string | undefined {
  if (/%(?![0-9A-Fa-f]{2})/.test(text)) return undefined;
  return text.replace(/%(..)/g, (_all, digits: string) => String.fromCharCode(parseInt(digits, 16)));
}
