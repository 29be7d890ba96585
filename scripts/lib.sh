# Sourced by the commands in this folder: finds Python, keeps the environment up to date.
# shellcheck shell=bash

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
VENV="$ROOT/.venv"

fail() {
  printf '%s\n' "$@" >&2
  exit 1
}

# The newest Python from 3.11 on that really runs (pyenv leaves shims behind for versions that do not).
find_python() {
  local name
  for name in python3.13 python3.12 python3.11 python3 python; do
    if command -v "$name" >/dev/null 2>&1 &&
      "$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
      printf '%s' "$name"
      return
    fi
  done
  fail "AMS needs Python 3.11 or newer with venv (Debian: apt-get install python3 python3-venv)." \
    "Found: $(command -v python3 >/dev/null 2>&1 && python3 --version 2>&1 || echo none)"
}

# need_environment EXTRAS: .venv has requirements.txt and these extras; installs only when they changed.
need_environment() {
  local extras="$1" python stamp wanted
  wanted="$extras $(cat "$ROOT/requirements.txt" "$ROOT/pyproject.toml" | cksum)"
  stamp="$VENV/installed"
  # A larger set of extras that was installed from the same files will do.
  if [ -x "$VENV/bin/python" ] && [ -f "$stamp" ]; then
    case "$(cat "$stamp")" in "$wanted" | "${wanted/#$extras/host,dev,bench}") return ;; esac
  fi
  if [ ! -x "$VENV/bin/python" ]; then
    python="$(find_python)" || exit 1
    echo "Creating the environment with $("$python" --version) ..." >&2
    "$python" -m venv "$VENV" || fail "Could not create $VENV (is the disk full? is python3-venv there?)."
  fi
  echo "Installing what AMS needs (a minute the first time) ..." >&2
  (cd "$ROOT" && "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check -e ".[$extras]") ||
    fail "pip could not install the requirements. Is a package registry reachable? See the lines above."
  printf '%s' "$wanted" >"$stamp"
}

# need_node WHO: a Node that runs AMS's parts in JavaScript, with npm.
need_node() {
  command -v node >/dev/null 2>&1 || fail "$1 needs Node 20 or newer; there is no node on the PATH."
  node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 20 ? 0 : 1)' ||
    fail "$1 needs Node 20 or newer; this is $(node --version)."
  command -v npm >/dev/null 2>&1 || fail "$1 needs npm, which comes with Node; there is no npm on the PATH."
}

# need_node_packages FOLDER: node_modules is what package-lock.json says; installs only when that changed.
need_node_packages() {
  local folder="$1" stamp="$1/node_modules/installed" wanted
  wanted="$(cksum <"$folder/package-lock.json")"
  [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && return
  echo "Installing what $folder needs from npm ..." >&2
  npm ci --prefix "$folder" --no-audit --no-fund --loglevel=error >&2 ||
    fail "npm could not install $folder. Is a package registry reachable? See the lines above."
  printf '%s' "$wanted" >"$stamp"
}

# need_commands COMMAND:PACKAGE...: installs Debian packages where root or password-free sudo allows.
need_commands() {
  local pair missing=() sudo=()
  for pair in "$@"; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || missing+=("${pair##*:}")
  done
  [ ${#missing[@]} -eq 0 ] && return
  if [ "$(id -u)" -ne 0 ]; then
    sudo -n true >/dev/null 2>&1 || fail "Please install (as root): apt-get install ${missing[*]}"
    sudo=(sudo -n)
  fi
  command -v apt-get >/dev/null 2>&1 || fail "Please install these Debian packages, or your system's own: ${missing[*]}"
  echo "Installing Debian packages: ${missing[*]} ..." >&2
  "${sudo[@]}" apt-get update -qq >/dev/null || true
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null ||
    fail "apt-get could not install: ${missing[*]}"
}

# wrk, and PostgreSQL's server programs, which Debian keeps off the PATH.
need_benchmark_tools() {
  local PATH="$PATH" folder
  for folder in /usr/lib/postgresql/*/bin; do
    PATH="$PATH:$folder"
  done
  need_commands wrk:wrk initdb:postgresql
}
