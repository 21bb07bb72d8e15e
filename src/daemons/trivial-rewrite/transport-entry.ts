/** The right-hand side of transport(5): `transport:nexthop`, either half optional. Pure. */
export interface Route {
  readonly transport: string;
  readonly nexthop: string;
}

/** `transport[:nexthop]`, split at the first colon. */
export function splitRoute(text: string): Route {
  const colon = text.indexOf(':');
  return colon < 0 ? { transport: text, nexthop: '' } : { transport: text.slice(0, colon), nexthop: text.slice(colon + 1) };
}

/**
 * A table entry laid over the route of the address class. `:nexthop` keeps the transport; `transport:` resets the nexthop to the
 * recipient's domain, or for error and retry, whose nexthop is a text for people, to a general text.
 */
export function applyEntry(entry: string, domain: string, route: Route): Route {
  const { transport, nexthop } = splitRoute(entry);
  if (transport === '') return nexthop === '' ? route : { transport: route.transport, nexthop };
  if (nexthop !== '') return { transport, nexthop };
  const isText = transport === 'error' || transport === 'retry';
  return { transport, nexthop: isText ? 'Address is undeliverable' : domain };
}
