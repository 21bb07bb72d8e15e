/**
 * An internal service, declared once: its name, where its socket stands, and the requests it answers.
 *
 * `Calls<S>` is what a caller uses and what the daemon implements; whether a socket lies between the two is a matter of
 * placement (architecture: processes), not of either side. A call fails with `ServiceTrouble` when the service cannot be
 * reached or breaks its protocol: always a temporary failure for the mail at hand.
 */
import type { Shape, ShapeValue } from './shape.ts';
import type { MaybePromise } from '../text/maybe.ts';

export interface RequestShape { readonly request: Shape; readonly reply: Shape }

export interface ServiceDeclaration {
  /** The master.cf service name by default: `rewrite`, `bounce`, ... */
  readonly name: string;
  readonly area: 'private' | 'public';
  /** Sent first by the server on every connection, so that a wrong peer is found out. */
  readonly protocol: string;
  readonly requests: Readonly<Record<string, RequestShape>>;
}

export type Calls<S extends ServiceDeclaration> = {
  [R in keyof S['requests']]: (request: ShapeValue<S['requests'][R]['request']>) => MaybePromise<ShapeValue<S['requests'][R]['reply']>>;
};

/** The service did not answer as declared: down, too slow, or not speaking our protocol. */
export class ServiceTrouble extends Error {
  readonly service: string;

  constructor(service: string, message: string) {
    super(`${service}: ${message}`);
    this.service = service;
  }
}

/** Types only: keeps the literal names of a declaration. */
export function declareService<const S extends ServiceDeclaration>(declaration: S): S {
  return declaration;
}
