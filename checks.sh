#!/usr/bin/env bash
# Installs what the checks need into the Python that is active, then runs all of them.
#
#   bash checks.sh            install, then check
#   bash checks.sh --no-install   only check
set -euo pipefail
cd "$(dirname "$0")"

install_system_packages() {
  local missing=()
  command -v chromium >/dev/null || command -v chromium-browser >/dev/null || missing+=(chromium)
  command -v node >/dev/null || missing+=(nodejs npm)
  [ ${#missing[@]} -eq 0 ] && return
  if ! command -v apt-get >/dev/null; then
    echo "checks.sh: please install ${missing[*]} and run this again." >&2
    exit 2
  fi
  local as_root=()
  [ "$(id -u)" -eq 0 ] || as_root=(sudo)
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}"
}

if [ "${1:-}" != "--no-install" ]; then
  install_system_packages
  npm install --silent --no-audit --no-fund
  python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
fi

step() { printf '\n== %s\n' "$*"; "$@"; }

step ruff format --check .
step ruff check .
step mypy
step npm run --silent check
step node --test tests/canvas/
step python -m pytest -q --durations=15
step python -m tests.soak --minutes 5 --seed 1
