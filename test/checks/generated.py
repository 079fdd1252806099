#!/usr/bin/env python3
"""The files that lapidary itself writes from its tables are what it writes now.

usage: generated.py LAPIDARY SOURCE_DIR [--write]      --write: writes them
"""
import subprocess
import sys
from pathlib import Path

FILES = {
    "docs/recipe.md": ["recipe", "schema", "--markdown"],
    "docs/ops.md": ["list", "ops", "--markdown"],
    "configs/recipe.schema.json": ["recipe", "schema"],
}


def main():
    lapidary, source, write = sys.argv[1], Path(sys.argv[2]), sys.argv[3:] == ["--write"]
    stale = 0
    for name, command in FILES.items():
        now = subprocess.run([lapidary, *command], check=True, capture_output=True, text=True).stdout
        file = source / name
        if write:
            file.write_text(now)
        elif not file.exists() or file.read_text() != now:
            stale += 1
            print(f"{name} is not what `lapidary {' '.join(command)}` prints; "
                  f"test/checks/generated.py {lapidary} {source} --write")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
