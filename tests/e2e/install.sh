#!/usr/bin/env bash
# Installs what the end-to-end suites need, beside rust, go, node and python3: run it as often as you like.
# Everything lands under target/ or examples/node/node_modules; only missing Debian packages are system-wide.
set -euo pipefail

GRPCURL_VERSION=v1.9.4
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

say() { printf '==> %s\n' "$*"; }

for program in cargo go node npm python3; do
  command -v "$program" >/dev/null || { echo "$program is missing: install it first" >&2; exit 1; }
done

packages=()
command -v curl >/dev/null || packages+=(curl)
command -v openssl >/dev/null || packages+=(openssl)
python3 -c 'import venv, ensurepip' 2>/dev/null || packages+=(python3-venv)
if ((${#packages[@]})); then
  say "Debian packages: ${packages[*]}"
  sudo=$([[ $(id -u) == 0 ]] || echo sudo)
  $sudo apt-get update -qq
  $sudo apt-get install -y -qq --no-install-recommends "${packages[@]}"
fi

say "Python packages into target/e2e-venv"
[[ -x target/e2e-venv/bin/pip ]] || python3 -m venv target/e2e-venv
target/e2e-venv/bin/pip install --quiet --disable-pip-version-check \
  -r tests/e2e/requirements.txt -r examples/python/requirements.txt -r examples/langgraph/requirements.txt

say "Node packages into examples/node/node_modules"
npm ci --prefix examples/node --no-audit --no-fund --loglevel=error

say "Go modules"
(cd examples/go && go mod download)

# grpcurl built by `go install` does not know its own version, but Go does.
if [[ $(go version -m target/e2e-bin/grpcurl 2>/dev/null || true) == *"fullstorydev/grpcurl"*"$GRPCURL_VERSION"* ]]; then
  say "grpcurl $GRPCURL_VERSION is in target/e2e-bin already"
else
  say "grpcurl $GRPCURL_VERSION into target/e2e-bin"
  GOBIN="$PWD/target/e2e-bin" go install "github.com/fullstorydev/grpcurl/cmd/grpcurl@$GRPCURL_VERSION"
fi

say "done; run the suites with: cargo build --bins --examples && target/e2e-venv/bin/pytest tests/e2e"
