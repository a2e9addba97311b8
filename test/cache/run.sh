#!/usr/bin/env bash
# Runs the cache of known files before a real Valkey or Redis server. Where there is none it installs one from the system's packages if
# it may, and otherwise says so and leaves the suite out.
set -euo pipefail
cd "$(dirname "$0")/../.."

has_server() { command -v valkey-server > /dev/null || command -v redis-server > /dev/null; }

# The package would start a server of its own on the usual port; the tests bring theirs.
install_server() {
  [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null || return 0
  export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
  apt-get update -qq > /dev/null || true
  for package in valkey-server redis-server; do
    apt-get install -y -qq --no-install-recommends "$package" > /dev/null 2>&1 && return 0
  done
}

has_server || install_server || true
if ! has_server; then
  echo "cache: left out, for neither valkey-server nor redis-server is on the PATH; install one (apt-get install valkey-server, brew install valkey)"
  exit 0
fi
# The Node of the lockfile, whichever one the machine has.
export PATH="$PWD/node_modules/.bin:$PATH"
exec vitest run --project cache "$@"
