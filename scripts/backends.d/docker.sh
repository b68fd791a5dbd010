# shellcheck shell=bash
# The real images instead, where a Docker engine answers: the same kinds, ports and credentials. Data lies in the container.

docker_image() {
  case $1 in
    mongodb) echo mongo:7.0.14 ;;
    minio) echo minio/minio:RELEASE.2025-04-22T22-12-26Z ;;
    rabbitmq) echo rabbitmq:3.13.7-alpine ;;
    redis) echo redis:7.4.1-alpine ;;
  esac
}

# Whether the set in folder $1 runs on an engine; decided once a set, when it is begun.
set_engine() {
  if [ ! -e "$1/engine" ]; then
    [ -d "$1" ] || return 1
    if command -v docker >/dev/null && timeout 10 docker info >/dev/null 2>&1; then echo docker; else echo processes; fi >"$1/engine"
  fi
  [ "$(<"$1/engine")" = docker ]
}

# Containers are named by their folder, so that two clones do not meet.
docker_name() { printf 'vidstream-%s-%s' "$(cksum <<<"$1" | cut -d ' ' -f 1)" "$2"; }

docker_begin() {
  local folder=$1 kind=$2 port=$3 options=() arguments=() inner
  case $kind in
    mongodb) inner=27017 ;;
    minio)
      inner=9000
      options=(--env "MINIO_ROOT_USER=$BACKENDS_USER" --env "MINIO_ROOT_PASSWORD=$BACKENDS_PASSWORD")
      arguments=(server /data)
      ;;
    rabbitmq)
      inner=5672
      options=(--env "RABBITMQ_DEFAULT_USER=$BACKENDS_USER" --env "RABBITMQ_DEFAULT_PASS=$BACKENDS_PASSWORD")
      ;;
    redis)
      inner=6379
      arguments=(redis-server --requirepass "$BACKENDS_PASSWORD" --appendonly yes --appendfsync always --save '')
      ;;
  esac
  docker_end "$folder" "$kind"
  docker run --detach --name "$(docker_name "$folder" "$kind")" --publish "127.0.0.1:$port:$inner" "${options[@]}" \
    "$(docker_image "$kind")" "${arguments[@]}" >"$folder/$kind.log"
}

docker_runs() { [ "$(docker inspect --format '{{.State.Running}}' "$(docker_name "$1" "$2")" 2>/dev/null)" = true ]; }

docker_end() { docker rm --force --volumes "$(docker_name "$1" "$2")" >/dev/null 2>&1 || true; }
