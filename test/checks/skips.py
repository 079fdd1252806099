#!/usr/bin/env python3
"""Counts what ctest ran and skipped, and fails where a test was skipped for a reason that is none.

usage: skips.py JUNIT_FILE [ASSETS]      as `ctest --output-junit` wrote it

Where the folder ASSETS exists, no test may be skipped for want of it.
"""
import os
import re
import sys
import xml.etree.ElementTree
from collections import Counter

# Sentences in a skipped test's output that excuse it: what a machine may lack, as opposed to what tools/test makes.
NO_ASSETS = re.compile(r"no assets(?=: )")
NO_INSTRUCTIONS = re.compile(r"this CPU has no \w+")
NO_TERMINALS = re.compile(r"this machine has no pseudo-terminals")
NO_NAMESPACES = re.compile(r"this machine has no network namespaces")


def reason(output, excuses):
    """Why a test was skipped, None where its output has no excuse."""
    found = (excuse.search(output) for excuse in excuses)
    return next((match[0] for match in found if match), None)


def tally(root, excuses):
    """How many tests passed and failed, the skipped ones by reason, and those skipped without one."""
    passed, failed, skipped, unexcused = 0, 0, Counter(), []
    for case in root.iter("testcase"):
        if case.get("status") == "run":
            passed += 1
        elif case.get("status") == "fail":
            failed += 1
        else:  # skipped, disabled, not run
            output = case.findtext("system-out") or ""
            why = reason(output, excuses) if case.get("status") == "notrun" else None
            skipped[why or "no reason that counts"] += 1
            if not why:
                unexcused.append((case.get("name"), (output.strip() or case.get("status")).splitlines()[-1]))
    return passed, failed, skipped, unexcused


def main():
    assets = sys.argv[2] if len(sys.argv) > 2 else ""
    excuses = [NO_INSTRUCTIONS, NO_TERMINALS, NO_NAMESPACES] + ([] if os.path.isdir(assets) else [NO_ASSETS])
    root = xml.etree.ElementTree.parse(sys.argv[1]).getroot()
    passed, failed, skipped, unexcused = tally(root, excuses)
    for name, last_line in unexcused:
        print(f"may not be skipped: {name}: {last_line}")
    reasons = "; ".join(f"{count} {why}" for why, count in sorted(skipped.items()))
    failures = f", {failed} failed" if failed else ""
    print(f"{passed} passed{failures}, {skipped.total()} skipped" + (f" ({reasons})" if reasons else ""))
    return 1 if unexcused or failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
