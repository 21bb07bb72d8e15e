/** What a session of postscreen(8) wants done. */
export type ScreenStep =
  | { readonly kind: 'send'; readonly bytes: string }
  | { readonly kind: 'log'; readonly text: string }
  /** Ask the DNS lists; tell the machine by `asked` and `scored`. */
  | { readonly kind: 'ask-lists' }
  /** Their answers are not waited for any more. */
  | { readonly kind: 'forget-lists' }
  /** Remember this of the client. */
  | { readonly kind: 'save'; readonly entry: string }
  /** Everything up to here has to leave in plain text; `secured` says that the handshake is done. */
  | { readonly kind: 'start-tls' }
  /** The SMTP server's turn, with what the client said already. Nothing follows, but what `expel` makes follow. */
  | { readonly kind: 'hand-over'; readonly unread: Buffer }
  | { readonly kind: 'close' };
