#!/usr/bin/env bash
# Starts Debian's docker-registry on a free port of loopback, with its storage in a temporary directory,
# and prints its address. All is removed when the script ends.
#
# usage: scripts/registry.sh [--auth password|token] [--lifetime SECONDS] [--tls] [COMMAND...]
#        scripts/registry.sh --install
#
# --auth password     asks for the user `me` with the password `secret`
# --auth token        asks for tokens of a token server, which is started too: anybody may pull, `me` may push
# --lifetime SECONDS  how long tokens are valid (300)
# --tls               speaks https; the second line printed is the folder with the certificate of its CA, for
#                     --cert-dir
# --install           only installs what is missing
# COMMAND             runs with the address in REGISTRY and the folder in REGISTRY_CERT_DIR; without it, the
#                     registry runs until standard input ends (Ctrl-D)
caller=$PWD
. "$(dirname "$0")/lib.sh"

auth=
lifetime=300
tls=
install=
while [ $# -gt 0 ]; do
    case "$1" in
    --auth) auth=${2:-} && shift ;;
    --lifetime) lifetime=${2:-} && shift ;;
    --tls) tls=1 ;;
    --install) install=1 ;;
    --*) die "unknown option $1 (usage: scripts/registry.sh [--auth password|token] [--tls] [COMMAND...])" ;;
    *) break ;;
    esac
    shift
done
case "$auth" in
'' | password | token) ;;
*) die "--auth takes password or token, not \`$auth\`" ;;
esac

packages=()
command -v docker-registry >/dev/null || packages+=(docker-registry)
command -v openssl >/dev/null || packages+=(openssl)
need_packages "${packages[@]}"
[ -z "$install" ] || exit 0

folder=$(mktemp -d)
children=()
clean_up() {
    # The processes may have ended.
    [ ${#children[@]} -eq 0 ] || kill "${children[@]}" 2>/dev/null || true
    rm -rf "$folder"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Waits until a file has a line that matches the pattern, and prints the group in parentheses.
wait_for() { # file, pattern, process
    local attempt found
    for ((attempt = 0; attempt < 200; attempt++)); do
        found=$(sed -nE "s/$2/\1/p" "$1" 2>/dev/null | head -n 1)
        if [ -n "$found" ]; then
            printf '%s\n' "$found"
            return
        fi
        kill -0 "$3" 2>/dev/null || break
        sleep 0.05
    done
    cat "$1" >&2
    die "no answer from what writes to $1"
}

openssl_quietly() {
    openssl "$@" 2>"$folder/openssl.log" || { cat "$folder/openssl.log" >&2 && die "openssl failed"; }
}

# Makes the certificate of a CA, NAME.crt and NAME.key.
authority() { # name
    openssl_quietly req -x509 -newkey rsa:2048 -nodes -days 2 -keyout "$folder/$1.key" \
        -out "$folder/$1.crt" -subj "/CN=wasi-overlay test $1"
}

{
    cat <<END
version: 0.1
log:
  level: info
  accesslog:
    disabled: true
storage:
  filesystem:
    rootdirectory: $folder/data
  delete:
    enabled: true
http:
  addr: 127.0.0.1:0
END
    if [ -n "$tls" ]; then
        cat <<END
  tls:
    certificate: $folder/registry.crt
    key: $folder/registry.key
END
    fi
} >"$folder/config.yml"
if [ -n "$tls" ]; then
    mkdir "$folder/certificates"
    authority ca
    mv "$folder/ca.crt" "$folder/certificates/ca.crt"
    openssl_quietly req -new -newkey rsa:2048 -nodes -keyout "$folder/registry.key" \
        -out "$folder/registry.csr" -subj /CN=localhost
    openssl_quietly x509 -req -in "$folder/registry.csr" -CA "$folder/certificates/ca.crt" \
        -CAkey "$folder/ca.key" -CAserial "$folder/ca.srl" -CAcreateserial -days 2 -out "$folder/registry.crt" \
        -extfile <(echo 'subjectAltName=DNS:localhost,IP:127.0.0.1')
fi

case "$auth" in
password)
    # docker-registry takes bcrypt only, which the crypt of Debian's C library has.
    hash=$(perl -e 'print crypt("secret", "\$2y\$05\$wasioverlaywasioverlau")')
    printf 'me:%s\n' "$hash" >"$folder/htpasswd"
    cat >>"$folder/config.yml" <<END
auth:
  htpasswd:
    realm: registry
    path: $folder/htpasswd
END
    ;;
token)
    authority token
    rustc --edition 2024 -o "$folder/token-server" image/examples/token-server.rs
    "$folder/token-server" "$folder/token.key" "$folder/token.crt" me:secret "$lifetime" \
        >"$folder/token.log" 2>&1 </dev/null &
    children+=($!)
    server=$(wait_for "$folder/token.log" '^(127\.0\.0\.1:[0-9]+)$' $!)
    cat >>"$folder/config.yml" <<END
auth:
  token:
    realm: http://$server/token
    service: registry
    issuer: token-server
    rootcertbundle: $folder/token.crt
END
    ;;
esac

OTEL_TRACES_EXPORTER=none docker-registry serve "$folder/config.yml" >"$folder/registry.log" 2>&1 </dev/null &
children+=($!)
REGISTRY=$(wait_for "$folder/registry.log" '.*listening on (127\.0\.0\.1:[0-9]+).*' $!)

if [ $# -gt 0 ]; then
    export REGISTRY
    [ -z "$tls" ] || export REGISTRY_CERT_DIR="$folder/certificates"
    cd "$caller"
    "$@"
else
    printf '%s\n' "$REGISTRY"
    [ -z "$tls" ] || printf '%s\n' "$folder/certificates"
    cat >/dev/null
fi
