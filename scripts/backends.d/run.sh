# shellcheck shell=bash
# Becomes one server in the foreground: whoever started this script has the server itself as its child, and signals reach it.

# run KIND DIR PORT
run() {
  local dir port=$3
  mkdir -p "$2"
  dir=$(cd "$2" && pwd)
  "run_$1" "$dir" "$port"
}

run_redis() {
  command -v redis-server >/dev/null || fail "redis-server is missing: scripts/backends setup redis"
  (umask 077 && printf 'requirepass "%s"\n' "$BACKENDS_PASSWORD" >"$1/redis.conf")
  # Every write is on the disk before its answer: only so it survives a kill.
  exec redis-server "$1/redis.conf" --port "$2" --bind 127.0.0.1 --dir "$1" --appendonly yes --appendfsync always --save ''
}

run_minio() {
  [ -x "$MINIO" ] || fail "minio is missing: scripts/backends setup minio"
  mkdir -p "$1/data"
  export MINIO_ROOT_USER=$BACKENDS_USER MINIO_ROOT_PASSWORD=$BACKENDS_PASSWORD MINIO_BROWSER=off MINIO_UPDATE=off
  exec "$MINIO" server --quiet --certs-dir "$1/certs" --address "127.0.0.1:$2" "$1/data"
}

run_versitygw() {
  [ -x "$VERSITYGW" ] || fail "versitygw is missing: scripts/backends setup versitygw"
  mkdir -p "$1/data"
  export ROOT_ACCESS_KEY=$BACKENDS_USER ROOT_SECRET_KEY=$BACKENDS_PASSWORD
  exec "$VERSITYGW" --quiet --port "127.0.0.1:$2" posix "$1/data"
}

run_mongodb() {
  local folder
  folder=$(mongodb_folder)
  [ -d "$folder" ] || fail "mongo-java-server is missing: scripts/backends setup mongodb"
  exec java -Xmx1g -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$folder:$folder/*" MongoServer "$1/mongodb.mv" "$2"
}

# RabbitMQ has three ports: AMQP, epmd (Erlang's names) and Erlang's distribution. The script of that name in /usr/sbin changes the
# user; this one does not. With "input" allowed it execs Erlang instead of waiting for it, and `-noinput` then says there is none.
run_rabbitmq() {
  local server=/usr/lib/rabbitmq/bin/rabbitmq-server dir=$1 port=$2
  [ -x "$server" ] || fail "rabbitmq-server is missing: scripts/backends setup rabbitmq"
  (umask 077 && rabbitmq_settings "$port" >"$dir/rabbitmq.conf")
  [ -e "$dir/plugins" ] || printf '[].\n' >"$dir/plugins"
  export HOME=$dir RABBITMQ_NODENAME=rabbit-$port@localhost RABBITMQ_MNESIA_BASE=$dir/mnesia RABBITMQ_LOG_BASE=$dir/log \
    RABBITMQ_LOGS=- RABBITMQ_PID_FILE=$dir/pid RABBITMQ_ENABLED_PLUGINS_FILE=$dir/plugins \
    RABBITMQ_CONFIG_FILE=$dir/rabbitmq.conf RABBITMQ_CONF_ENV_FILE=$dir/no-env RABBITMQ_DIST_PORT=$((port + 2)) \
    ERL_EPMD_PORT=$((port + 1)) ERL_EPMD_ADDRESS=127.0.0.1 ERL_CRASH_DUMP_SECONDS=0 \
    RABBITMQ_ALLOW_INPUT=true RABBITMQ_SERVER_START_ARGS=-noinput \
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1}'
  # Erlang would start an epmd that outlives it. This one is there first, and ends with the process that becomes the server.
  setpriv --pdeathsig KILL epmd </dev/null >/dev/null 2>&1 &
  until (exec 3<>"/dev/tcp/127.0.0.1/$ERL_EPMD_PORT") 2>/dev/null; do
    kill -0 $! 2>/dev/null || fail "epmd did not start: is port $ERL_EPMD_PORT taken?"
    sleep 0.02
  done
  exec "$server"
}

rabbitmq_settings() {
  cat <<TXT
listeners.tcp.1 = 127.0.0.1:$1
default_user = $BACKENDS_USER
default_pass = $BACKENDS_PASSWORD
loopback_users = none
log.console.level = warning
disk_free_limit.absolute = 64MB
vm_memory_high_watermark.absolute = 512MB
TXT
}
