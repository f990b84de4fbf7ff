#!/usr/bin/env python3
"""Judges `jumpvisor simulate` by pyVmomi, the official Python client of vSphere.

    tests/peers/.build/venv/bin/python tests/peers/sim_pyvmomi.py [--only TEXT] [--jobs N] BINARY

Each check has a simulated server of its own. A line for each failed check, then how many passed; ends
with 1 if any failed.
"""

import argparse
import pathlib
import sys

import sim_checks
from sim_checks import files, guest, host, inventory, machines, ovf, rules, scale, sessions, vcenter  # noqa: F401


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", metavar="TEXT", help="checks whose name contains this")
    parser.add_argument("--jobs", type=int, default=8, metavar="N", help="checks at the same time")
    parser.add_argument("binary", type=pathlib.Path)
    given = parser.parse_args()
    return 1 if sim_checks.run(str(given.binary.resolve()), given.only, given.jobs) else 0


if __name__ == "__main__":
    sys.exit(main())
