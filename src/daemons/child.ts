/** What master(8) starts, from its modules: see child.cts. */
import { loadDaemon } from './load-daemon.ts';
import { serveMaster } from './serve-master.ts';

serveMaster(loadDaemon);
