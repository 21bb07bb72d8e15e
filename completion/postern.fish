# Completion for fish; belongs into a directory of $fish_complete_path, or is sourced. Queue ids, parameters, services and table types are asked of
# the commands themselves, with the -c (or -C) directory that is on the line.

function __postern_ask
    set -l words (commandline -opc)
    for index in (seq (count $words))
        if string match -qr '^-[cC]$' -- $words[$index]; and test (count $words) -gt $index
            command $argv[1] -c $words[(math $index + 1)] $argv[2..] 2>/dev/null
            return
        else if string match -qr '^-[cC]/' -- $words[$index]
            command $argv[1] -c (string sub -s 3 -- $words[$index]) $argv[2..] 2>/dev/null
            return
        end
    end
    command $argv 2>/dev/null
end

function __postern_ids
    __postern_ask postqueue -j | string replace -rf '^\{"queue_name": "([^"]*)", "queue_id": "([0-9A-Za-z]*)".*"sender": "([^"]*)".*' '$2\t$1, from $3'
end
function __postern_parameters
    __postern_ask postconf -H
end
function __postern_services
    __postern_ask postconf -M | awk '{ print $1 "/" $2 }'
end
function __postern_transports
    __postern_ask postconf -M | awk '$2 == "unix" { print $1 }'
end
function __postern_types
    __postern_ask postconf -m | string replace -r '$' ':'
end
function __postern_sites
    __postern_ask postconf -xh fast_flush_domains | string split -n -n ', ' | string split -n ' '
end
function __postern_instances
    command postmulti -l 2>/dev/null | awk '$1 != "-" { print $1 }'
end
function __postern_has
    string match -qr -- "^-[a-zA-Z#]*[$argv[1]]" (commandline -opc)[2..]
end

for command in postalias postcat postconf postdrop postfix postkick postlock postlog postmap postqueue postsuper posttls-finger qshape
    complete -c $command -s c -x -a '(__fish_complete_directories)' -d 'configuration directory'
end
for command in mailq newaliases sendmail
    complete -c $command -s C -x -a '(__fish_complete_directories)' -d 'configuration directory'
end
for command in mailq newaliases postalias postcat postconf postdrop postfix postkick postlock postlog postmap postmulti postqueue postsuper posttls-finger sendmail
    complete -c $command -s v -d 'say more'
end

for letter in d:delete e:expire f:'expire and release' h:hold H:release r:requeue
    set -l parts (string split : $letter)
    complete -c postsuper -s $parts[1] -x -a '(__postern_ids) ALL -' -d $parts[2]
end
complete -c postsuper -f -a 'hold incoming active deferred maildrop'
complete -c postsuper -s p -d 'purge temporary files'
complete -c postsuper -s s -d 'repair'
complete -c postsuper -s S -d 'repair, redundantly'

complete -c postqueue -f
complete -c postqueue -s f -d 'flush'
complete -c postqueue -s i -x -a '(__postern_ids)' -d 'try one message'
complete -c postqueue -s j -d 'list as JSON'
complete -c postqueue -s p -d 'list'
complete -c postqueue -s s -x -a '(__postern_sites)' -d 'flush a site'

complete -c postcat -s q -d 'by queue id'
complete -c postcat -n '__postern_has q' -f -a '(__postern_ids)'
for letter in b:body d:'decimal record types' e:envelope f:'file names' h:headers o:offsets r:'in file order'
    set -l parts (string split : $letter)
    complete -c postcat -s $parts[1] -d $parts[2]
end
complete -c postcat -s s -x -d 'skip to this offset'

for command in postmap postalias
    complete -c $command -a '(__postern_types)'
    complete -c $command -s d -x -d 'delete this key'
    complete -c $command -s q -x -d 'query this key'
    for letter in f:'do not fold case' i:'add from standard input' j:JSON n:'no final null' N:'final null' o:'keep root rights' p:'do not inherit permissions' r:'replace duplicates' s:list u:'no UTF-8' w:'ignore duplicates'
        set -l parts (string split : $letter)
        complete -c $command -s $parts[1] -d $parts[2]
    end
end
for letter in b:'look up body lines' h:'look up headers' m:'look into MIME parts' F:'values are file names' U:'UTF-8 in messages'
    set -l parts (string split : $letter)
    complete -c postmap -s $parts[1] -d $parts[2]
end

complete -c postconf -f
complete -c postconf -n 'not __postern_has MFP' -a '(__postern_parameters)'
complete -c postconf -n '__postern_has MFP' -a '(__postern_services)'
complete -c postconf -s C -x -a 'builtin service user all' -d 'class'
complete -c postconf -s T -x -a 'compile-version run-version public-key-algorithms' -d 'TLS'
complete -c postconf -s o -x -d 'override'
for letter in a:'SASL server types' A:'SASL client types' b:'bounce templates' d:defaults e:edit f:fold F:fields h:'without names' H:'without values' j:JSON l:'lock types' m:'table types' M:services n:'not at their default' p:parameters P:'parameters of services' q:quiet t:templates x:expand X:remove
    set -l parts (string split : $letter)
    complete -c postconf -s $parts[1] -d $parts[2]
end

complete -c postfix -f
complete -c postfix -n 'not __fish_seen_subcommand_from tls non-bdb' -a 'check start start-fg stop abort drain quick-stop flush reload status set-permissions upgrade-configuration logrotate tls non-bdb'
complete -c postfix -n '__fish_seen_subcommand_from tls' -a 'enable-client enable-server new-server-key new-server-cert deploy-server-cert output-server-csr output-server-tlsa all-default-client all-default-server'
complete -c postfix -n '__fish_seen_subcommand_from non-bdb' -a 'status disable enable-redirect enable-reindex'
complete -c postfix -s D -d 'debugger'

complete -c postkick -f -n 'not __fish_seen_subcommand_from public private' -a 'public private'
complete -c postkick -f -n '__fish_seen_subcommand_from public private' -a '(__postern_transports)'
complete -c postlock -s l -x -d 'lock style'
complete -c postlog -s p -x -a 'info warn error fatal panic' -d 'priority'
complete -c postlog -s t -x -d 'tag'
complete -c postlog -s i -d 'process id'
complete -c postdrop -f -s r -d 'compatibility'

complete -c postmulti -f
complete -c postmulti -s e -x -a 'init create import destroy deport assign enable disable' -d 'action'
complete -c postmulti -s i -x -a '(__postern_instances)' -d 'instance'
for letter in g:group G:'assign group' I:'assign name'
    set -l parts (string split : $letter)
    complete -c postmulti -s $parts[1] -x -d $parts[2]
end
for letter in a:all j:JSON l:list p:'postfix command' R:reverse x:command
    set -l parts (string split : $letter)
    complete -c postmulti -s $parts[1] -d $parts[2]
end

complete -c posttls-finger -f
complete -c posttls-finger -s l -x -a 'none may encrypt fingerprint dane dane-only verify secure' -d 'level'

complete -c qshape -f -a 'hold incoming active deferred maildrop'
for letter in m:subdomains b:buckets t:minutes w:columns N:'messages between tables' n:rows
    set -l parts (string split : $letter)
    complete -c qshape -s $parts[1] -x -d $parts[2]
end
for letter in s:senders p:parents l:linear
    set -l parts (string split : $letter)
    complete -c qshape -s $parts[1] -d $parts[2]
end

complete -c sendmail -f -a '(__fish_complete_users)'
complete -c rmail -f -a '(__fish_complete_users)'
complete -c mailq -f
complete -c sendmail -s B -x -a '7BIT 8BITMIME' -d 'body type'
complete -c sendmail -s N -x -a 'never success failure delay' -d 'notify'
complete -c sendmail -s R -x -a 'hdrs full' -d 'return'
complete -c sendmail -s O -x -a 'requiretls=yes requiretls=no smtputf8=yes smtputf8=no' -d 'option'
for letter in F:'full name' f:sender r:sender V:'envelope id'
    set -l parts (string split : $letter)
    complete -c sendmail -s $parts[1] -x -d $parts[2]
end
for option in bd:'start the mail system' bi:'rebuild aliases' bm:deliver bp:'list the queue' bs:'SMTP on standard input' bv:'report what would happen' oi:'a dot does not end the input'
    set -l parts (string split : $option)
    complete -c sendmail -o $parts[1] -d $parts[2]
end
for letter in G:'from a gateway' i:'a dot does not end the input' I:'rebuild aliases' q:'try deferred mail' t:'recipients from the header'
    set -l parts (string split : $letter)
    complete -c sendmail -s $parts[1] -d $parts[2]
end

complete -c postern -f -n '__fish_use_subcommand' -a 'explain trace'
complete -c postern -f -n '__fish_seen_subcommand_from explain' -a '(__postern_parameters)'
complete -c postern -f -n '__fish_seen_subcommand_from trace' -a '(__postern_ids)'
