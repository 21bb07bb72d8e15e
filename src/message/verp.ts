/** Variable envelope return paths: a sender's address that tells to whom the message went. Pure. */

/** `list@host` and `joe@example.org` with `+=`: `list+joe=example.org@host`. */
export function verpSender(sender: string, recipient: string, delimiters: string): string {
  const [local, domain] = halves(sender);
  const [user, host] = halves(recipient);
  const tagged = `${local}${delimiters[0]}${user}${host === '' ? '' : delimiters[1]! + host}`;
  return domain === '' ? tagged : `${tagged}@${domain}`;
}

function halves(address: string): [local: string, domain: string] {
  const at = address.lastIndexOf('@');
  return at < 0 ? [address, ''] : [address.slice(0, at), address.slice(at + 1)];
}
