#!/usr/bin/env bash
# Installs what the suites need beside cargo, go, node and python3, each language's in one environment with a lock:
#
#   tests/e2e/install.sh                    everything
#   tests/e2e/install.sh python node go     only these
#   tests/e2e/install.sh lock               resolves requirements.in again, into requirements.txt
#
# Run it as often as you like. Everything goes under target/ or node_modules/; only missing Debian packages are
# system-wide.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

UV_VERSION=0.13.9
UV=target/e2e-uv/bin/uv

say() { printf '==> %s\n' "$*"; }

needs() {
  local program
  for program; do
    command -v "$program" >/dev/null || { echo "$program is missing: install it first" >&2; exit 1; }
  done
}

debian_packages() {
  local missing=()
  command -v curl >/dev/null || missing+=(curl)
  command -v openssl >/dev/null || missing+=(openssl)
  # uv makes the environment; pip only brings uv.
  python3 -m pip --version >/dev/null 2>&1 || missing+=(python3-pip)
  ((${#missing[@]})) || return 0
  say "Debian packages: ${missing[*]}"
  local sudo
  sudo=$([[ $(id -u) == 0 ]] || echo sudo)
  $sudo apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}"
}

uv() {
  if [[ $($UV --version 2>/dev/null || true) != *"$UV_VERSION"* ]]; then
    say "uv $UV_VERSION into target/e2e-uv" >&2
    rm -rf target/e2e-uv
    python3 -m pip install --quiet --disable-pip-version-check --no-deps --target target/e2e-uv "uv==$UV_VERSION"
  fi
  # The machine's own Python: uv must not download another.
  UV_PYTHON_DOWNLOADS=never "$UV" "$@"
}

python() {
  needs python3
  debian_packages
  say "Python packages of tests/e2e/requirements.txt into target/e2e-venv"
  [[ -x target/e2e-venv/bin/python && -f target/e2e-venv/.by-uv ]] || {
    uv venv --quiet --clear --python python3 target/e2e-venv
    touch target/e2e-venv/.by-uv
  }
  uv pip sync --quiet --python target/e2e-venv/bin/python --require-hashes tests/e2e/requirements.txt
}

node() {
  needs node npm
  say "Node packages of package-lock.json into node_modules"
  npm ci --no-audit --no-fund --loglevel=error
}

# The tools are those of tests/e2e/tools/go.mod, at the versions that its go.sum knows.
go_modules() {
  needs go
  say "Go modules, and the tools of tests/e2e/tools/go.mod into target/e2e-bin"
  go -C examples/go mod download
  GOBIN="$PWD/target/e2e-bin" go -C tests/e2e/tools install tool
}

lock() {
  needs python3
  debian_packages
  # Exact versions for every platform, with hashes; versions that still fit stay as they are.
  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
    --custom-compile-command "tests/e2e/install.sh lock" tests/e2e/requirements.in -o tests/e2e/requirements.txt
}

(($#)) || set -- python node go
for part; do
  case $part in
    python | node | lock) "$part" ;;
    go) go_modules ;;
    *) echo "cannot install '$part': expected python, node, go or lock" >&2; exit 2 ;;
  esac
done
say "done; run the suites with: cargo build --bins --examples && target/e2e-venv/bin/pytest tests/e2e"
