#!/usr/bin/env bash
# Runs a command where a folder exists; elsewhere says so and exits with 77 (skipped).
# usage: skip_without.sh FOLDER COMMAND...
folder=$1; shift
[ -d "$folder" ] || { echo "skipped: $folder is not there"; exit 77; }
exec "$@"
