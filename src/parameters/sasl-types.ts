// Which implementations of SASL can be named in smtpd_sasl_type and in smtp_sasl_type (and its LMTP twin): the ones that this
// release really has. `postconf -a` and `-A` print them.

/** For clients that log in here. */
export const serverSaslTypes: readonly string[] = ['cyrus', 'dovecot'];

/** For us where we log in elsewhere. */
export const clientSaslTypes: readonly string[] = ['cyrus'];
