# shellcheck shell=bash
# Installs what the servers need: Debian's packages, Go tools, Java's archives. Idempotent, and one at a time.

setup() {
  local kinds=("$@") kind
  if [ $# = 0 ]; then kinds=("${KINDS[@]}"); fi
  mkdir -p "$CACHE"
  alone apt setup_packages "${kinds[@]}"
  for kind in "${kinds[@]}"; do
    case $kind in
      minio) alone minio setup_go "$MINIO" "github.com/minio/minio@$MINIO_VERSION" ;;
      versitygw) alone versitygw setup_go "$VERSITYGW" "github.com/versity/versitygw/cmd/versitygw@$VERSITYGW_VERSION" ;;
      mongodb) alone mongodb setup_mongodb ;;
    esac
  done
}

# Runs a part of the setup while nobody else runs it. One lock each: who needs Redis does not wait for the minutes of MinIO.
alone() (
  exec 9>"$CACHE/$1.lock"
  flock 9
  "${@:2}"
)

# Runs a command that talks a lot; what it said is only of interest when it failed.
quiet() {
  local said
  said=$("$@" </dev/null 2>&1) || { printf '%s\n' "$said" >&2; fail "failed: $*"; }
}

# A program $1 somewhere that Debian puts programs, also where PATH is a user's.
there() { command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ]; }

setup_packages() {
  local packages=() kind
  there setpriv && there flock || packages+=(util-linux)
  for kind in "$@"; do
    case $kind in
      redis) there redis-server || packages+=(redis-server) ;;
      rabbitmq) there rabbitmq-server || packages+=(rabbitmq-server) ;;
      minio | versitygw) there curl || packages+=(curl) ;;
      mongodb)
        there javac || packages+=(default-jdk-headless)
        there mvn || packages+=(maven)
        ;;
    esac
  done
  [ ${#packages[@]} = 0 ] || setup_apt "${packages[@]}"
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# Installs packages without their services: nobody who runs tests asked for a Redis or a RabbitMQ on the usual ports.
setup_apt() (
  command -v apt-get >/dev/null || fail "install $*: this system has no apt-get, so it can't be done here"
  say "installing $* with apt-get"
  local policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    trap 'as_root rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod +x "$policy"
  fi
  quiet as_root apt-get update -qq
  quiet as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
  # Nor shall they start with the machine.
  if command -v systemctl >/dev/null; then
    for package in "$@"; do
      case $package in
        redis-server | rabbitmq-server) as_root systemctl disable --quiet "$package" 2>/dev/null || true ;;
      esac
    done
  fi
)

# Builds the Go program $2 into the file $1.
setup_go() {
  local program=$1 source=$2 folder
  [ ! -x "$program" ] || return 0
  command -v go >/dev/null || fail "go is missing: install Go 1.26 or later (only the tests need it, for ${program##*/})"
  folder=${program%/*}
  say "building ${program##*/} with go: some minutes, once"
  rm -rf "$folder.new"
  GOBIN=$folder.new CGO_ENABLED=0 GOFLAGS=-buildvcs=false quiet go install "$source"
  mv -T "$folder.new" "$folder"
}

setup_mongodb() {
  local folder
  folder=$(mongodb_folder)
  [ ! -d "$folder" ] || return 0
  say "getting mongo-java-server with mvn, compiling its launcher"
  rm -rf "$folder.new"
  quiet mvn -q -B -f "$MONGODB_SOURCE/pom.xml" dependency:copy-dependencies -DoutputDirectory="$folder.new"
  javac -Xlint:all -Werror -cp "$folder.new/*" -d "$folder.new" "$MONGODB_SOURCE"/*.java
  mv -T "$folder.new" "$folder"
}
