"""Two processes that train together in two network namespaces, joined by a pair of interfaces as two machines are by a
cable. Not run where Lapidary was built without training or Gloo, or where no namespaces can be made.

usage: ranks_net_test.py LAPIDARY SOURCE_FOLDER
"""
import os
import subprocess
import sys
import unittest

from fixture import run
from ranks import Group, RanksFixture, losses, unavailable

NAMES = [f"lapidary{os.getpid()}-{rank}" for rank in range(2)]
ADDRESSES = ["10.213.7.1", "10.213.7.2"]


def ip(*args, check=True):
    return subprocess.run(["ip", *args], check=check, capture_output=True, text=True)


def make_namespaces():
    """"" or why not."""
    try:
        for name in NAMES:
            ip("netns", "add", name)
        ip("link", "add", "name", "cable0", "netns", NAMES[0], "type", "veth", "peer", "name", "cable1", "netns", NAMES[1])
        for rank, name in enumerate(NAMES):
            ip("-n", name, "address", "add", f"{ADDRESSES[rank]}/24", "dev", f"cable{rank}")
            ip("-n", name, "link", "set", f"cable{rank}", "up")
            ip("-n", name, "link", "set", "lo", "up")
    except FileNotFoundError:
        return "ip (iproute2) is not installed"
    except subprocess.CalledProcessError as error:
        return error.stderr.strip()
    return ""


def remove_namespaces():
    for name in NAMES:
        ip("netns", "delete", name, check=False)


def inside(rank):
    return ["ip", "netns", "exec", NAMES[rank]]


class RanksNet(RanksFixture):
    def test_machines_train_as_one_process(self):
        args = self.training("finetune")
        folder, = self.folders(1)
        done = run(*args, cwd=folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        folders = self.folders(2)
        group = Group(folders, *args, address=ADDRESSES[0], prefix=inside)
        codes, outputs, errors = group.wait()
        self.assertEqual(codes, [0, 0], errors)
        self.assert_losses(losses(outputs[0]), losses(done.stdout), 1e-4)
        self.assert_same_model(folders[0] / "out.onnx", folder / "out.onnx", 1e-3)
        self.assertEqual((outputs[1], errors[1], os.listdir(folders[1])), ("", "", []))

    def test_cut_cable_ends_both(self):
        group = Group(self.folders(2), *self.training("finetune", epochs=500), address=ADDRESSES[0], prefix=inside,
                      env={"LAPIDARY_RANK_TIMEOUT": "10"})
        for line in group.processes[0].stderr:
            if "step 2 of" in line:
                break
        ip("-n", NAMES[0], "link", "set", "cable0", "down")
        try:
            codes, _, errors = group.wait()
        finally:
            ip("-n", NAMES[0], "link", "set", "cable0", "up")
        self.assertEqual(codes, [6, 6], errors)
        for rank in range(2):
            self.assertIn(f"rank {1 - rank} is gone or does not answer", errors[rank])


if __name__ == "__main__":
    if unavailable():
        print(unavailable())
        sys.exit(77)
    try:
        problem = make_namespaces()
        if problem:
            print(f"this machine has no network namespaces: {problem}")
            sys.exit(77)
        unittest.main(argv=sys.argv[:1], verbosity=2)
    finally:
        remove_namespaces()
