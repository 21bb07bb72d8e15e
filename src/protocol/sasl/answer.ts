/** What an authentication server says to one step of a login, whichever server it is. Byte strings. */
export type SaslAnswer =
  /** The name as the server gave it: not yet fit for a log. */
  | { readonly kind: 'done'; readonly username: string }
  /** More is wanted of the client; base64, perhaps ''. */
  | { readonly kind: 'more'; readonly challenge: string }
  /** `reason` is for client and log; '': none was given. `username`: who it was, where the server knows. */
  | { readonly kind: 'failed'; readonly reason: string; readonly username?: string | undefined }
  /** No verdict: something is out of order, the client may come again. */
  | { readonly kind: 'unavailable'; readonly reason: string; readonly username?: string | undefined };

/** Characters of base64, in any order: all that is looked at before a server decodes it. */
export function isBase64Text(text: string): boolean {
  return /^[0-9A-Za-z+/=]*$/.test(text);
}
