# Completion for bash: mailq newaliases postalias postcat postconf postdrop postfix postkick postlock postlog postmap postmulti
# postqueue postsuper posttls-finger qshape rmail sendmail, and postern. Source it, or install it as
# /usr/share/bash-completion/completions/postern with a link for each command. Queue ids, parameters, services and table types are
# asked of the commands themselves, with the -c (or -C) directory that is on the line.

_postern_options() {
  case $1 in
    mailq|newaliases) echo "-C -v" ;;
    sendmail) echo "-B -bd -bi -bl -bm -bp -bs -bv -C -F -f -G -i -I -N -O -oi -oA -q -qI -qR -R -r -t -V -v -XV" ;;
    postalias) echo "-c -d -f -i -j -n -N -o -p -q -r -s -u -v -w" ;;
    postmap) echo "-b -c -d -f -F -h -i -j -m -n -N -o -p -q -r -s -u -U -v -w" ;;
    postcat) echo "-b -c -d -e -f -h -o -q -r -s -v" ;;
    postconf) echo "-a -A -b -c -C -d -e -f -F -h -H -j -l -m -M -n -o -p -P -q -t -T -v -x -X -#" ;;
    postdrop) echo "-c -r -v" ;;
    postfix) echo "-c -D -v" ;;
    postkick) echo "-c -v" ;;
    postlock) echo "-c -l -v" ;;
    postlog) echo "-c -i -p -t -v" ;;
    postmulti) echo "-a -e -g -G -i -I -j -l -p -R -v -x" ;;
    postqueue) echo "-c -f -i -j -p -s -v" ;;
    postsuper) echo "-c -d -e -f -h -H -p -r -s -S -v" ;;
    posttls-finger) echo "-a -A -c -C -d -f -F -g -h -H -k -K -l -L -m -M -o -p -P -r -R -s -S -t -T -v -w -x -X" ;;
    qshape) echo "-b -c -h -l -m -n -N -p -s -t -w" ;;
  esac
}

# The instance that the line is about: the words that name its directory.
_postern_directory() {
  local index word
  for ((index = 1; index < COMP_CWORD; index++)); do
    word=${COMP_WORDS[index]}
    case $word in
      -c|-C) [[ ${COMP_WORDS[index + 1]} == /* ]] && printf '%s\n' "${COMP_WORDS[index + 1]}" ;;
      -c/*|-C/*) printf '%s\n' "${word:2}" ;;
    esac
  done
}

# Run a command for that instance: NAME OPTION...
_postern_ask() {
  local directory
  directory=$(_postern_directory)
  if [[ -n $directory ]]; then command "$1" -c "$directory" "${@:2}" 2>/dev/null; else command "$@" 2>/dev/null; fi
}

_postern_ids() { _postern_ask postqueue -j | sed -n 's/^{"queue_name": "[^"]*", "queue_id": "\([0-9A-Za-z]*\)".*/\1/p'; }
_postern_parameters() { _postern_ask postconf -H; }
_postern_services() { _postern_ask postconf -M | awk '{ print $1 "/" $2 }'; }
_postern_transports() { _postern_ask postconf -M | awk '$2 == "unix" { print $1 }'; }
_postern_types() { _postern_ask postconf -m | sed 's/$/:/'; }
_postern_instances() { command postmulti -l 2>/dev/null | awk '$1 != "-" { print $1 }'; }

_postern_words() { COMPREPLY+=($(compgen -W "$1" -- "$2")); }
_postern_files() { COMPREPLY+=($(compgen -f -- "$1")); }

# What may follow an option: COMMAND OPTION. Fails when the option takes no value.
_postern_value() {
  case $1:$2 in
    mailq:-C|newaliases:-C|sendmail:-C|qshape:-c|post*:-c) COMPREPLY+=($(compgen -d -- "$cur")) ;;
    posttls-finger:-l) _postern_words "none may encrypt fingerprint dane dane-only verify secure" "$cur" ;;
    postsuper:-[defhHr]) _postern_words "$(_postern_ids) ALL -" "$cur" ;;
    postqueue:-i) _postern_words "$(_postern_ids)" "$cur" ;;
    postqueue:-s) _postern_words "$(_postern_ask postconf -xh fast_flush_domains | tr ',' ' ')" "$cur" ;;
    sendmail:-B) _postern_words "7BIT 8BITMIME" "$cur" ;;
    sendmail:-N) _postern_words "never success failure delay" "$cur" ;;
    sendmail:-R) _postern_words "hdrs full" "$cur" ;;
    sendmail:-O) _postern_words "requiretls=yes requiretls=no smtputf8=yes smtputf8=no" "$cur" ;;
    postconf:-C) _postern_words "builtin service user all" "$cur" ;;
    postconf:-T) _postern_words "compile-version run-version public-key-algorithms" "$cur" ;;
    postlog:-p) _postern_words "info warn error fatal panic" "$cur" ;;
    postmulti:-[eix])
      [[ $2 == -e ]] && _postern_words "init create import destroy deport assign enable disable" "$cur"
      [[ $2 == -i ]] && _postern_words "$(_postern_instances)" "$cur"
      [[ $2 != -x ]] ;;
    postmap:-[dq]|postalias:-[dq]|postcat:-s|postlog:-t|postlock:-l|postmulti:-[gGIR]|qshape:-[bmnNtw]|sendmail:-[fFrV]|postconf:-b|postconf:-t|posttls-finger:-[aACdFghHkKLmMoPprst]) ;;
    *) return 1 ;;
  esac
}

_postern_has() {
  local word
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do [[ $word == -[!-]* && $word == *"$1"* ]] && return 0; done
  return 1
}

_postern_operand() {
  case $1 in
    postsuper|qshape) _postern_words "hold incoming active deferred maildrop" "$cur" ;;
    postcat) if _postern_has q; then _postern_words "$(_postern_ids)" "$cur"; else _postern_files "$cur"; fi ;;
    postmap|postalias)
      if [[ $cur == *:* ]]; then
        local type=${cur%%:*}
        COMPREPLY+=($(compgen -f -P "$type:" -- "${cur#*:}"))
      else _postern_words "$(_postern_types)" "$cur"; _postern_files "$cur"; fi ;;
    postconf)
      if _postern_has M || _postern_has F || _postern_has P; then _postern_words "$(_postern_services)" "$cur"
      elif [[ $cur != *=* ]]; then _postern_words "$(_postern_parameters)" "$cur"; fi ;;
    postfix)
      case $prev in
        tls) _postern_words "enable-client enable-server new-server-key new-server-cert deploy-server-cert output-server-csr output-server-tlsa all-default-client all-default-server" "$cur" ;;
        non-bdb) _postern_words "status disable enable-redirect enable-reindex" "$cur" ;;
        *) _postern_words "check start start-fg stop abort drain quick-stop flush reload status set-permissions upgrade-configuration logrotate tls non-bdb" "$cur" ;;
      esac ;;
    postkick) case $prev in postkick) _postern_words "public private" "$cur" ;; public|private) _postern_words "$(_postern_transports)" "$cur" ;; esac ;;
    postlock|newaliases) _postern_files "$cur" ;;
    postern)
      case $prev in
        postern) _postern_words "explain trace" "$cur" ;;
        explain) _postern_words "$(_postern_parameters)" "$cur" ;;
        trace) _postern_words "$(_postern_ids)" "$cur" ;;
      esac ;;
    sendmail|rmail) COMPREPLY+=($(compgen -u -- "$cur")) ;;
  esac
}

_postern() {
  local command=${COMP_WORDS[0]##*/} cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
  COMPREPLY=()
  # Readline takes "lmdb:/etc/aliases" for three words.
  if [[ $cur == : ]]; then cur=$prev:; elif [[ $prev == : && $COMP_CWORD -gt 2 ]]; then cur=${COMP_WORDS[COMP_CWORD - 2]}:$cur; fi
  local whole=$cur
  _postern_value "$command" "$prev" || if [[ $cur == -* ]]; then _postern_words "$(_postern_options "$command")" "$cur"; else _postern_operand "$command"; fi
  if [[ $whole == *:* && $COMP_WORDBREAKS == *:* ]]; then
    local index
    for index in "${!COMPREPLY[@]}"; do COMPREPLY[index]=${COMPREPLY[index]#"${whole%"${whole##*:}"}"}; done
  fi
  compopt -o filenames 2>/dev/null
  [[ ${COMPREPLY[0]} == *: ]] && compopt -o nospace 2>/dev/null
  return 0
}

complete -F _postern mailq newaliases postalias postcat postconf postdrop postfix postkick postlock postlog postmap postmulti \
  postqueue postsuper posttls-finger qshape rmail sendmail postern
