#!/usr/bin/env bash
# Runs a command where the folder of trained models and data exists; elsewhere says so and exits with 77 (skipped).
# usage: skip_without_assets.sh FOLDER COMMAND...
folder=$1; shift
[ -d "$folder" ] || { echo "skipped: no assets: $folder is not there"; exit 77; }
exec "$@"
