# shellcheck shell=bash
# A set of four servers in the background: up, down, status, env. What it runs on and which processes are its own is kept in a folder
# that git ignores; so is the data, which goes with `down`.

SET_KINDS=(mongodb minio rabbitmq redis)
SET_BUCKET=vidstream

set_folder() {
  [[ $1 =~ ^[A-Za-z0-9][A-Za-z0-9_-]*$ ]] || fail "a set's name is letters, digits, - and _: not $1"
  printf '%s/.tools/backends/%s' "$BACKENDS" "$1"
}

# The port of kind $1 in the set whose ports begin at $2. RabbitMQ takes three.
set_port() {
  case $1 in mongodb) echo $(($2)) ;; minio) echo $(($2 + 1)) ;; redis) echo $(($2 + 2)) ;; rabbitmq) echo $(($2 + 4)) ;; esac
}

# Sets are begun one at a time on a machine: free ports are looked for, and taken only a moment later.
set_up() (
  local folder kind first
  folder=$(set_folder "$1")
  mkdir -p "$CACHE" "$folder"
  exec 8>"$CACHE/sets.lock"
  flock 8
  set_engine "$folder" || setup "${SET_KINDS[@]}"
  if [ ! -s "$folder/first" ]; then set_free_ports >"$folder/first"; fi
  first=$(<"$folder/first")
  trap 'say "the set $1 did not come up: what began of it is ended"; set_end "$folder"' EXIT
  for kind in "${SET_KINDS[@]}"; do set_begin "$folder" "$kind" "$(set_port "$kind" "$first")"; done
  for kind in "${SET_KINDS[@]}"; do set_wait "$folder" "$kind" "$(set_port "$kind" "$first")"; done
  make_bucket "$(set_port minio "$first")" "$SET_BUCKET"
  trap - EXIT
  set_env "$1"
)

# Ten ports in a row to which nobody answers, out of the ephemeral ports and of those that the crate's tests take.
set_free_ports() {
  local first port
  for ((first = 20000; first < 32000; first += 10)); do
    for ((port = first; port < first + 10; port++)); do
      if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then continue 2; fi
    done
    echo "$first"
    return
  done
  fail "no ten ports in a row are free from 20000 on"
}

# Starts kind $2 on port $3 where it does not run. Its data is kept until `down`.
set_begin() {
  local folder=$1 kind=$2 port=$3
  ! set_runs "$folder" "$kind" || return 0
  if set_engine "$folder"; then docker_begin "$folder" "$kind" "$port"; return; fi
  # A session of its own: Ctrl-C and the end of a terminal are not for it.
  setsid "$BACKENDS/scripts/backends" run "$kind" "$folder/$kind" "$port" </dev/null >>"$folder/$kind.log" 2>&1 8>&- &
  identity $! >"$folder/$kind.pid"
}

# A process's id and when it began: a later process with the same id is another.
identity() {
  local stat
  [ -r "/proc/$1/stat" ] && stat=$(<"/proc/$1/stat") || return 1
  stat=${stat##*) }
  # shellcheck disable=SC2086  # Its words are the fields.
  set -- "$1" $stat
  [ "$2" != Z ] && echo "$1 ${21}"
} 2>/dev/null

set_runs() {
  local known
  if set_engine "$1"; then docker_runs "$1" "$2"; return; fi
  known=$(cat "$1/$2.pid" 2>/dev/null) && [ "$(identity "${known% *}")" = "$known" ]
}

set_wait() {
  local folder=$1 kind=$2 port=$3 words begun=$SECONDS
  until words=$(ready "$kind" "$port" 2>&1); do
    if ! set_runs "$folder" "$kind" || [ $((SECONDS - begun)) -ge 120 ]; then
      say "${words#backends: }"
      tail -n 20 "$folder/$kind.log" >&2 || true
      exit 1
    fi
    sleep 0.1
  done
}

set_down() {
  local folder
  folder=$(set_folder "$1")
  [ -d "$folder" ] || return 0
  set_end "$folder"
}

# Ends exactly what this set began, and removes its data.
set_end() {
  local folder=$1 kind
  for kind in "${SET_KINDS[@]}"; do
    if set_engine "$folder"; then docker_end "$folder" "$kind"; else process_end "$folder" "$kind"; fi
  done
  rm -rf "$folder"
}

process_end() {
  local process begun=$SECONDS
  set_runs "$1" "$2" || return 0
  process=$(<"$1/$2.pid")
  process=${process% *}
  kill -TERM "$process"
  kill -CONT "$process"
  while set_runs "$1" "$2"; do
    if [ $((SECONDS - begun)) -ge 20 ]; then kill -KILL "$process" || true; fi
    sleep 0.05
  done
}

# One line a server; fails where one does not answer.
set_status() {
  local folder kind port words all=0
  folder=$(set_folder "$1")
  [ -s "$folder/first" ] || { echo "the set $1 is down"; return 1; }
  for kind in "${SET_KINDS[@]}"; do
    port=$(set_port "$kind" "$(<"$folder/first")")
    if ! set_runs "$folder" "$kind"; then words="ended, see $folder/$kind.log"; all=1
    elif words=$(ready "$kind" "$port" 2>&1); then words=answers
    else words=${words#backends: }; all=1; fi
    printf '%-9s %-6s %s\n' "$kind" "$port" "$words"
  done
  return "$all"
}

set_env() {
  local folder first
  folder=$(set_folder "$1")
  [ -s "$folder/first" ] || fail "the set $1 is down: scripts/backends up $1"
  first=$(<"$folder/first")
  cat <<TXT
MONGODB_URL=mongodb://127.0.0.1:$(set_port mongodb "$first")
S3_URL=http://127.0.0.1:$(set_port minio "$first")/$SET_BUCKET
AMQP_URL=amqp://$BACKENDS_USER:$BACKENDS_PASSWORD@127.0.0.1:$(set_port rabbitmq "$first")/%2f
REDIS_URL=redis://:$BACKENDS_PASSWORD@127.0.0.1:$(set_port redis "$first")
TXT
}
