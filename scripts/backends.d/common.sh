# shellcheck shell=bash
# What all parts of scripts/backends share: names, versions, places, credentials.
# shellcheck disable=SC2034  # The other parts use them.

KINDS=(mongodb minio versitygw rabbitmq redis)
MINIO_VERSION=v0.0.0-20260212201848-7aac2a2c5b7c
VERSITYGW_VERSION=v1.8.0

# Built tools outlive the work tree: a fresh clone has them.
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/vidstream
MINIO=$CACHE/minio-$MINIO_VERSION/minio
VERSITYGW=$CACHE/versitygw-$VERSITYGW_VERSION/versitygw
MONGODB_SOURCE=$BACKENDS/tests/servers/mongodb

BACKENDS_USER=${BACKENDS_USER:-vidstream}
BACKENDS_PASSWORD=${BACKENDS_PASSWORD:-vidstream-test}

say() { printf 'backends: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

known() {
  local kind
  for kind in "${KINDS[@]}"; do [ "$kind" != "$1" ] || return 0; done
  fail "there is no kind $1: ${KINDS[*]}"
}

# The folder of MongoDB's launcher and its jars, by what they were made of.
mongodb_folder() {
  local sum
  sum=$(cat "$MONGODB_SOURCE/pom.xml" "$MONGODB_SOURCE"/*.java | cksum)
  printf '%s/mongodb-%s' "$CACHE" "${sum%% *}"
}
