# Sourced by the scripts of this folder: one line for each step, and failures with a remedy.

# step WHAT COMMAND…   runs a command, says how long it took, and shows its output only when it fails.
step() {
  local what=$1 log started=$SECONDS
  shift
  log=$(mktemp)
  printf '%-34s … ' "$what" >&2
  if "$@" </dev/null >"$log" 2>&1; then
    printf '%d s\n' $((SECONDS - started)) >&2
    rm -f "$log"
  else
    printf 'failed\n' >&2
    tail -n 40 "$log" >&2
    rm -f "$log"
    fail "$what: \"$*\" failed" 'see the output above'
  fi
}

# fail WHAT REMEDY
fail() {
  printf '\nsetup failed: %s\n      remedy: %s\n' "$1" "$2" >&2
  exit 1
}
