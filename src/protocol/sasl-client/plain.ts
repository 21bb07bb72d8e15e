/** Mechanisms that hand over the password as it is: PLAIN (RFC 4616) and LOGIN (as Postfix and others have it). For protected connections. */
import { bytesOf, passwordOf, SaslTrouble } from './mechanism.ts';
import type { Credentials, Login, LoginContext } from './mechanism.ts';

// Without authorization identity it is the one that logs in (RFC 4616 section 2).
export function plainLogin(credentials: Credentials, { saysWhom = false }: Pick<LoginContext, 'saysWhom'> = {}): Login {
  const { username } = credentials;
  const password = passwordOf(credentials);
  if (username.includes('\0') || password.includes('\0')) throw new SaslTrouble('NUL in user name or password');
  return {
    first: () => bytesOf(`${saysWhom ? username : ''}\0${username}\0${password}`),
    next: () => { throw new SaslTrouble('unexpected challenge'); },
    proven: true,
  };
}

/** Servers word their two questions as they like; only their order counts. */
export function loginLogin(credentials: Credentials): Login {
  const answers = [credentials.username, passwordOf(credentials)];
  return {
    first: () => undefined,
    next: () => {
      const answer = answers.shift();
      if (answer === undefined) throw new SaslTrouble('unexpected challenge');
      return bytesOf(answer);
    },
    proven: true,
  };
}
