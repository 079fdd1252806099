#!/bin/sh
# onnx_wheel.sh PYTHON COMMAND...: runs COMMAND with the folder of test data inside PYTHON's onnx package as
# its last argument; exits 77 where there is no such package.
set -eu
python=$1
shift
data=$("$python" -c 'import onnx, os; print(os.path.join(os.path.dirname(onnx.__file__), "backend/test/data"))' 2>/dev/null) || {
  echo "skipped: $python has no onnx package (tools/test makes the virtual environment)"
  exit 77
}
exec "$@" "$data"
