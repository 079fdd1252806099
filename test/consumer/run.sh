#!/usr/bin/env bash
# Installs into a temporary prefix, then builds and runs a consumer by find_package and by pkg-config.
# usage: run.sh BUILD_DIR SOURCE_DIR
set -euo pipefail
build=$1 source=$2
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
cmake --install "$build" --prefix "$prefix/usr" >/dev/null
cmake -S "$source/test/consumer" -B "$prefix/cmake" -G Ninja -DCMAKE_PREFIX_PATH="$prefix/usr" >/dev/null
cmake --build "$prefix/cmake" >/dev/null
(cd "$prefix" && ./cmake/consumer)
pc=$(find "$prefix/usr" -name lapidary.pc -printf '%h')
[ "$(realpath "$(PKG_CONFIG_PATH=$pc pkg-config --variable=prefix lapidary)")" = "$(realpath "$prefix/usr")" ]
flags=$(PKG_CONFIG_PATH=$pc pkg-config --cflags --libs lapidary)
# shellcheck disable=SC2086
g++ "$source/test/consumer/main.cc" -o "$prefix/by_pkg_config" $flags -Wl,-rpath,"$(dirname "$pc")"
(cd "$prefix" && ./by_pkg_config)
"$prefix/usr/bin/lapidary" --version
