// Which release this is: the Postfix release whose behaviour we follow, and our own.
// Everything that states a version (mail_version, --version texts, reports) takes it from here.

/** The Postfix release whose parameters, texts and formats hold here. */
export const postfixRelease = '3.12';

/** Our own release. */
export const releaseVersion = '0.1.0';

/** Default of mail_version. */
export const mailVersion = '3.12-postern-0.1.0';

/** Default of mail_release_date: year, month, day. */
export const mailReleaseDate = '20261121';
