# shellcheck shell=bash
# Asks a server by its own protocol, with the credentials: an open port does not say that it answers.

# ready KIND PORT: succeeds where it answered, within 5 s.
ready() {
  local words
  export -f say fail
  export BACKENDS_USER BACKENDS_PASSWORD
  case $1 in
    minio | versitygw) words=$(s3 "$2" GET '') ;;
    *) words=$(export -f "ready_$1" octets && timeout 5 bash -c "set -uo pipefail; exec 2>&1 3<>/dev/tcp/127.0.0.1/$2 && ready_$1") ;;
  esac || { words=${words%%$'\n'*}; fail "$1 on port $2 does not answer: ${words:-nothing within 5 s}"; }
}

# Reads $1 octets of connection 3, as hexadecimal digits.
octets() { head -c "$1" <&3 | od -An -v -tx1 | tr -d ' \n'; }

ready_redis() {
  local line answer
  printf 'AUTH %s\r\nPING\r\n' "$BACKENDS_PASSWORD" >&3
  for line in OK PONG; do
    read -r answer <&3 || { echo "it hung up"; return 1; }
    [ "${answer%$'\r'}" = "+$line" ] || { echo "$answer"; return 1; }
  done
}

# A frame of AMQP 0-9-1 is type (1), channel (2), size (4), payload, 0xce; a method's payload begins with class and method.
ready_rabbitmq() {
  local head login size
  method() { head=$(octets 7); size=$((16#${head:6:8})); head=$(octets "$size"); octets 1 >/dev/null; printf '%s' "${head:0:8}"; }
  printf 'AMQP\0\0\11\1' >&3
  [ "$(method)" = 000a000a ] || { echo "it is not an AMQP server, or it hung up"; return 1; }
  login=$((2 + ${#BACKENDS_USER} + ${#BACKENDS_PASSWORD}))
  # Start-ok: no properties, PLAIN, the two names, en_US.
  # shellcheck disable=SC2059  # The length's octet is made in the format.
  printf "\1\0\0\0\0\0$(printf '\\%o' $((4 + 4 + 6 + 4 + login + 6)))\0\12\0\13\0\0\0\0\5PLAIN\0\0\0\\$(printf %o "$login")" >&3
  printf '\0%s\0%s\5en_US\316' "$BACKENDS_USER" "$BACKENDS_PASSWORD" >&3
  [ "$(method)" = 000a001e ] || { echo "it refused the credentials"; return 1; }
  # Tune-ok (no limits, no heartbeat) and open the virtual host "/".
  printf '\1\0\0\0\0\0\14\0\12\0\37\0\0\0\0\0\0\0\0\316\1\0\0\0\0\0\10\0\12\0\50\1/\0\0\316' >&3
  [ "$(method)" = 000a0029 ] || { echo "it did not open the connection"; return 1; }
}

# An OP_MSG of one document {ping: 1, $db: "admin"}; the answer has {ok: 1.0}.
ready_mongodb() {
  local size answer
  # shellcheck disable=SC2016  # `$db` is a field's name.
  printf '\63\0\0\0\1\0\0\0\0\0\0\0\335\7\0\0\0\0\0\0\0\36\0\0\0\20ping\0\1\0\0\0\2$db\0\6\0\0\0admin\0\0' >&3
  size=$(octets 4)
  [ -n "$size" ] || { echo "it hung up"; return 1; }
  size=$((16#${size:6:2}${size:4:2}${size:2:2}${size:0:2}))
  answer=$(octets $((size - 4)))
  [[ $answer == *016f6b00000000000000f03f* ]] || { echo "its answer to a ping is not ok"; return 1; }
}

# s3 PORT METHOD PATH: one signed request; its status when it is not a success.
s3() {
  local status
  status=$(printf 'user = "%s:%s"\n' "$BACKENDS_USER" "$BACKENDS_PASSWORD" |
    curl --config - --silent --show-error --max-time 5 --noproxy '*' --aws-sigv4 aws:amz:us-east-1:s3 \
      --header 'x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855' \
      --output /dev/null --write-out '%{http_code}' --request "$2" "http://127.0.0.1:$1/$3" 2>&1) || { echo "$status"; return 1; }
  [[ $status == 2* ]] || { echo "status $status"; return 1; }
}

make_bucket() {
  local words
  words=$(s3 "$1" PUT "$2") || [ "$words" = 'status 409' ] || fail "no bucket $2 on port $1: $words"
}
