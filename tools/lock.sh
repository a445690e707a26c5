#!/usr/bin/env bash
# Write requirements.lock, the address-free export of uv's resolution with hashes; --check: is it current?
set -euo pipefail
cd "$(dirname "$0")/.."
export_lock() {
  uv export --quiet --format requirements-txt --no-header --no-annotate --no-emit-workspace --all-extras --output-file "$1" >/dev/null
}
if [ "${1:-}" = --check ]; then
  new=$(mktemp)
  trap 'rm -f "$new"' EXIT
  export_lock "$new"
  diff -u requirements.lock "$new" || { echo "requirements.lock is stale: run tools/lock.sh and commit it" >&2; exit 1; }
  if grep -nE '://|--index-url|--find-links' requirements.lock; then
    echo "requirements.lock names an address" >&2
    exit 1
  fi
else
  export_lock requirements.lock
fi
