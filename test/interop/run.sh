#!/usr/bin/env bash
# Reads Moraine's tables with engines we did not write. Needs Python 3.10, Java 17 and Maven; Node comes with `npm ci`.
# What it downloads (about 900 MB) is kept in a cache outside the repository and is fetched anew when the pins change.
#   test/interop/run.sh [pytest arguments]
set -euo pipefail
cd "$(dirname "$0")"

iceberg=1.11.0
jars=(
  "org.apache.iceberg:iceberg-spark-runtime-4.1_2.13:$iceberg"
  "org.apache.iceberg:iceberg-aws-bundle:$iceberg"
)

for tool in python3 java mvn; do
  command -v "$tool" > /dev/null || { echo "interop: $tool is not installed" >&2; exit 2; }
done

cache="${MORAINE_INTEROP_CACHE:-$HOME/.cache/moraine-interop}"
pins=$(printf '%s\n' "${jars[@]}" | cat requirements.txt - | cksum | cut -d ' ' -f 1)
home="$cache/$pins"

if [ ! -f "$home/complete" ]; then
  echo "interop: installing the engines into $home"
  rm -rf "$cache"
  mkdir -p "$home/jars"
  for jar in "${jars[@]}"; do
    mvn --quiet --batch-mode -Dstyle.color=never dependency:copy -Dartifact="$jar" -DoutputDirectory="$home/jars"
  done &
  maven=$!
  python3 -m venv "$home/venv"
  "$home/venv/bin/pip" install --quiet --disable-pip-version-check -r requirements.txt
  wait "$maven"
  touch "$home/complete"
fi

export INTEROP_JARS="$home/jars" NODE="$PWD/../../node_modules/.bin/node" PYTHONDONTWRITEBYTECODE=1
exec "$home/venv/bin/python" -m pytest -q -rsxX -p no:cacheprovider --tb=short "$@" .
