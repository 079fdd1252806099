#!/bin/sh
# with_modules.sh PYTHON MODULE[,MODULE...] SCRIPT...: runs a Python script; says why and exits with 77 (skipped)
# where that Python or one of the modules is not there.
set -eu
python=$1 modules=$2
shift 2
[ -x "$python" ] || {
  echo "skipped: $python is not there (tools/test makes the virtual environment)"
  exit 77
}
missing=$("$python" -c 'import importlib.util, sys
print(*[m for m in sys.argv[1].split(",") if not importlib.util.find_spec(m)])' "$modules")
[ -z "$missing" ] || {
  echo "skipped: $python has no $missing (tools/test installs what test/requirements.txt lists)"
  exit 77
}
exec "$python" "$@"
