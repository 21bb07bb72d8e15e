// Several instances on one machine.
// One line per main.cf parameter; `card.ts` says what the fields mean.

import type { Cards } from './card.ts';

export const multiInstanceParameters = {
  alternate_config_directories: { kind: 'str', default: '' },
  multi_instance_directories: { kind: 'str', default: '', since: '2.6' },
  multi_instance_enable: { kind: 'bool', default: 'no', since: '2.6' },
  multi_instance_group: { kind: 'str', default: '', since: '2.6' },
  multi_instance_name: { kind: 'str', default: '', since: '2.6' },
  multi_instance_wrapper: { kind: 'str', default: '', since: '2.6' },
  postmulti_control_commands: { kind: 'str', default: 'reload flush', since: '2.6' },
  postmulti_start_commands: { kind: 'str', default: 'start', since: '2.6' },
  postmulti_stop_commands: { kind: 'str', default: 'stop abort drain quick-stop', since: '2.6' },
} as const satisfies Cards;
