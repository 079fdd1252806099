#!/usr/bin/env python3
"""Runs a program and holds figures that it prints, `NAME NUMBER`, against bounds.

usage: figures.py 'NAME LOW..HIGH'... -- COMMAND...      exit code 1 where one is missing or outside
"""
import re
import subprocess
import sys


def complaints(text, bounds):
    for bound in bounds:
        name, low, high = re.fullmatch(r"(.+) (\S+)\.\.(\S+)", bound).groups()
        found = re.search(rf"(?<!\S){re.escape(name)} (-?[0-9.]+|-?nan|-?inf)", text)
        if not found:
            yield f"{name} is not printed"
        elif not float(low) <= float(found[1]) <= float(high):  # NaN is nowhere
            yield f"{name} is {found[1]}, not within {low} to {high}"


def main():
    end = sys.argv.index("--")
    done = subprocess.run(sys.argv[end + 1:], stdout=subprocess.PIPE, text=True)
    print(done.stdout, end="")
    wrong = list(complaints(done.stdout, sys.argv[1:end]))
    for line in wrong:
        print(line)
    return done.returncode or bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
