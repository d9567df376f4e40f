#!/usr/bin/env bash
# Make the virtual environment with what the lock files name, on a machine that has Python 3.11+ and nothing else.
set -euo pipefail
venv=${1:?usage: make-venv.sh FOLDER}
python=${PYTHON:-python3}

"$python" - <<'PY' || { echo "Trunkline needs Python 3.11, 3.12 or 3.13: install one and run make PYTHON=python3.12 …" >&2; exit 1; }
import sys
sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PY

if [ ! -x "$venv/bin/python" ] || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
  rm -rf "$venv"
  if ! "$python" -m venv "$venv" 2>/dev/null; then
    # Debian keeps ensurepip in a package of its own
    rm -rf "$venv"
    sudo=""; [ "$(id -u)" = 0 ] || sudo=sudo
    echo "installing python3-venv" >&2
    $sudo apt-get update -qq
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null
    "$python" -m venv "$venv"
  fi
fi
"$venv/bin/python" -m pip install -q --disable-pip-version-check --require-hashes -r requirements-bootstrap.txt
# Compiled here once, on all cores, instead of by every process at its first start
"$venv/bin/uv" pip sync -q --compile-bytecode --python "$venv/bin/python" --require-hashes requirements-dev.txt requirements-bootstrap.txt
"$venv/bin/uv" pip install -q --python "$venv/bin/python" --no-deps --no-build-isolation -e .
