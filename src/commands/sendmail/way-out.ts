/** The first way from sendmail(1) to the mail system that is open to this user. */
import type { Configuration } from '../../config/configuration.ts';
import { NoOutlet, type Outlet } from '../../submission/outlet.ts';
import { openOutlet } from '../postdrop/outlet.ts';
import { Voice, type Output } from '../voice.ts';
import { hasPostdrop, ProgramOutlet } from './postdrop-program.ts';

/** The way for this user: pickup's socket, the maildrop, a set-gid postdrop. Rejects with NoOutlet when there is none. */
export async function openWay(config: Configuration, stderr: Output): Promise<Outlet> {
  const voice = new Voice('postdrop', stderr);
  voice.attach(config);
  try {
    return await openOutlet(config, voice);
  } catch (error) {
    const program = `${config.get('command_directory')}/postdrop`;
    if (!(error instanceof NoOutlet && error.denied) || !hasPostdrop(program)) throw error;
    return ProgramOutlet.start(program, config.directory);
  }
}
