#!/usr/bin/env bash
# From a checkout to a cited answer: a virtual environment, the packages of uv.lock, a database, the
# documents of the project itself, and a question about them. Run again, it changes nothing.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: ./install.sh [OPTION]... [PATH]...

Install ragdb beside this file, set it up, add its own documentation and every PATH, and answer a
question from it. Needs nothing but Python 3.11, 3.12 or 3.13.

  --extra NAME     also what an optional part needs; may be repeated. The next run
                   knows it still. databases: MySQL, MariaDB and Oracle as sources;
                   local: an embedding model on this machine
  --packages-only  stop when the packages are installed
  --dev            with what developing and testing needs
  --dry-run        say what would be done, and do nothing
  --uninstall      stop the server and remove the packages; the data stays
  -h, --help       show this

Environment:
  PYTHON            the Python to use
  RAGDB_HOME        where the data goes (default: /var/lib/ragdb for root,
                    ~/.local/share/ragdb for anyone else)
  RAGDB_WHEELHOUSE  a directory of wheels to install from, without any network; where there is one:
                    pip download -d DIR -r requirements.lock -r requirements-EXTRA.lock
                    pip download -d DIR hatchling==1.33.0 editables
TEXT
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
venv=$root/.venv
python=$venv/bin/python
ragdb=$venv/bin/ragdb
uv_version=0.13.8
question='How does ragdb keep organizations apart?'

dry=false dev=false packages_only=false uninstall=false
paths=() extras=()
while [ $# -gt 0 ]; do
  case $1 in
    --extra)
      if [ $# = 1 ]; then echo 'error: --extra needs a name' >&2 && usage >&2 && exit 2; fi
      shift && extras+=("$1")
      ;;
    --extra=*) extras+=("${1#*=}") ;;
    --packages-only) packages_only=true ;;
    --dev) dev=true ;;
    --dry-run) dry=true ;;
    --uninstall) uninstall=true ;;
    -h | --help) usage && exit 0 ;;
    --) shift && paths+=("$@") && break ;;
    -*) echo "error: unknown option $1" >&2 && usage >&2 && exit 2 ;;
    *) paths+=("$1") ;;
  esac
  shift
done

fail() {
  echo "error: $1" >&2
  echo "hint: $2" >&2
  exit 1
}

say() { echo "==> $*" >&2; }

# Run a command, or only show it.
run() {
  if $dry; then
    printf 'would run:' >&2 && printf ' %q' "$@" >&2 && echo >&2
  else
    "$@"
  fi
}

# Those that were asked for, now or before, each once.
find_extras() {
  local extra known=()
  for extra in "$root"/requirements-*.lock; do
    extra=${extra##*/requirements-} && known+=("${extra%.lock}")
  done
  for extra in ${extras[@]+"${extras[@]}"}; do
    [[ " ${known[*]} " == *" $extra "* ]] ||
      fail "There is no extra ${extra:-without a name}." "One of: ${known[*]}"
  done
  if [ ! -f "$venv/extras" ]; then return; fi
  while read -r extra; do
    [[ " ${extras[*]-} " == *" $extra "* ]] || extras+=("$extra")
  done <"$venv/extras"
}

fits() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; }

find_python() {
  local candidate
  for candidate in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11 python; do
    if fits "$candidate"; then
      command -v "$candidate"
      return
    fi
  done
  fail 'No Python from 3.11 to 3.13 was found.' \
    'Install one (Debian and Ubuntu: apt-get install python3 python3-venv) or name it: PYTHON=...'
}

# uv from wherever it is, else from pip into the environment.
find_uv() {
  if command -v uv; then return; fi
  if [ ! -x "$venv/bin/uv" ]; then
    "$python" -m pip install --quiet --disable-pip-version-check "uv==$uv_version" >&2 || return
  fi
  echo "$venv/bin/uv"
}

make_environment() {
  if fits "$python"; then return; fi
  local base
  base=$(find_python)
  say "Creating $venv with $base"
  if $dry; then
    run "$base" -m venv "$venv"
  elif ! "$base" -m venv --clear "$venv" >/dev/null 2>&1; then
    # Debian keeps ensurepip in a package of its own; uv or a pip outside do as well.
    if command -v uv >/dev/null; then
      uv venv --quiet --clear --python "$base" "$venv"
    elif "$base" -m pip --version >/dev/null 2>&1; then
      "$base" -m venv --clear --without-pip "$venv"
      "$base" -m pip --quiet --python "$python" install pip
    else
      fail "$base cannot create virtual environments." \
        'Install its venv module (Debian and Ubuntu: apt-get install python3-venv).'
    fi
  fi
}

install_with_uv() {
  local uv groups=(--no-dev)
  if $dev; then groups=(--group dev); fi
  if [ ${#extras[@]} -gt 0 ]; then groups+=("${extras[@]/#/--extra=}"); fi
  uv=$(find_uv) || return
  UV_PROJECT_ENVIRONMENT=$venv run "$uv" sync --quiet --frozen --inexact --project "$root" \
    --python "$python" "${groups[@]}"
}

# Slower, and with every package checked against the same hashes.
install_with_pip() {
  local stamp=$venv/requirements.sha256 sum extra locks=("$root/requirements.lock")
  for extra in ${extras[@]+"${extras[@]}"}; do locks+=("$root/requirements-$extra.lock"); done
  sum=$(cat "${locks[@]}" "$root/pyproject.toml" | "$python" -c \
    'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())')
  if [ "$(cat "$stamp" 2>/dev/null)" = "$sum" ]; then return; fi
  local pip=("$python" -m pip install --quiet --disable-pip-version-check)
  if [ -n "${RAGDB_WHEELHOUSE:-}" ]; then
    pip+=(--no-index --find-links "$RAGDB_WHEELHOUSE")
  fi
  "${pip[@]}" --require-hashes "${locks[@]/#/--requirement=}"
  "${pip[@]}" --no-deps --editable "$root"
  echo "$sum" >"$stamp"
}

install_packages() {
  say 'Installing packages'
  if $dry; then
    echo "would install: the packages of $root/uv.lock${extras[*]+, with ${extras[*]},}" \
      "into $venv" >&2
  elif [ -n "${RAGDB_WHEELHOUSE:-}" ]; then
    install_with_pip
  elif ! install_with_uv; then
    if $dev; then fail 'uv could not install the packages.' 'See its message above.'; fi
    say 'uv did not do it; trying pip'
    install_with_pip
  fi
  if ! $dry && [ ${#extras[@]} -gt 0 ]; then printf '%s\n' "${extras[@]}" >"$venv/extras"; fi
}

uninstall() {
  if [ -x "$ragdb" ]; then
    say "The data stays in $("$python" -c 'from ragdb.paths import default_home as d; print(d())')"
    run "$ragdb" stop
  fi
  if [ -f "$venv/pyvenv.cfg" ]; then
    run rm -rf "$venv"
  fi
}

main() {
  unset VIRTUAL_ENV PYTHONHOME
  if $uninstall; then
    uninstall
    return
  fi
  find_extras
  make_environment
  install_packages
  if $packages_only; then return; fi

  say 'Setting up the database'
  run "$ragdb" init
  say 'Adding documents'
  run "$ragdb" add --quiet --source ragdb --root "$root" "$root/README.md" "$root/docs"
  if [ ${#paths[@]} -gt 0 ]; then
    # What cannot be read was reported, and is no reason to stop.
    run "$ragdb" add -- "${paths[@]}" || [ $? -eq 1 ]
  fi
  say "Asking: $question"
  echo >&2
  run "$ragdb" ask "$question"
  if $dry; then return; fi

  cat <<TEXT

Installed and answered in $SECONDS s. Next:

  $ragdb search "rotate an API key"
  $ragdb psql -c "select title, score, snippet from ragdb.search('rotate an API key')"
  $ragdb serve
TEXT
}

main
