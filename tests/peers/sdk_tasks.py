#!/usr/bin/env python3
"""Drives a server by the official TypeScript client of the extension for tasks (`sdk_tasks.mjs`).

    tests/peers/sdk_tasks.py [--over http|stdio]... BINARY
    tests/peers/sdk_tasks.py --fixtures COMMAND...

BINARY is jumpvisor: it plays its simulated servers, and is served over HTTP with two keys and over
stdio. COMMAND serves the fixtures of the conformance suite at MCP_PORT. A line for each check, then `N
passed, M failed`.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import serving
from tally import Tally, expect
from sdk_signin import keys_file

# nas01 of the simulated ESXi host is slow to read, so that a plan takes its time before the person is asked;
# and so do disks that come or go.
FAULTS = [
    {"method": "SearchDatastore*", "object": "ha-browser-2", "delay_ms": 3000},
    {"path": "*nfc*", "delay_ms": 4000},
]
WISHES = {"APPROVAL": "destructive", "TOOLSETS": "all"}
BOUND = 600  # seconds for all checks of a server


def judge(t, table, server, environment):
    """Its lines are shown as they are, its counts are added."""
    program = [serving.NODE, "--no-warnings", serving.BUILD.parent / "sdk_tasks.mjs", serving.BUILD / "node", table, *server]
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("ESXI_", "VCENTER_"))}
    with tempfile.TemporaryDirectory() as place:  # no .env of the caller's
        done = subprocess.run(program, env={**inherited, **environment}, cwd=place, capture_output=True, text=True, timeout=BOUND)
    *lines, counts = done.stdout.splitlines() or [""]
    for line in lines:
        print(f"{line[:6]}{t.where}: {line[6:]}", flush=True)
    with t.check("the client came to the end"):
        expect(counts.startswith("{"), f"{counts} {done.stderr[-600:]}")
        counts = json.loads(counts)
        t.passed, t.failed = t.passed + counts["passed"], t.failed + counts["failed"]


def ended(t, server, secrets=()):
    with t.check("SIGTERM ends it well, without a panic"):
        expect(server.code == 0, f"it ended with {server.code}: {server.said[-300:]}")
        expect("panicked" not in server.said, server.said[-300:])
        expect(not any(it in server.said for it in secrets), "a key is in the log")


def product(binary, over):
    """What it came to, of servers of its own."""
    t = Tally()
    t.where = over
    with tempfile.TemporaryDirectory() as folder:
        faults = pathlib.Path(folder) / "faults.json"
        faults.write_text(json.dumps(FAULTS))
        command = [binary, "--demo", "--faults", faults]
        files = pathlib.Path(folder) / "files"
        files.mkdir()
        wishes = {**WISHES, "FILES_ROOT": str(files), "FOLDER": str(files)}
        if over == "stdio":
            judge(t, "product", command, wishes)
            return t
        path, key, other = keys_file(folder)
        with serving.Serving([*command, "serve"], {**wishes, "API_KEYS_FILE": str(path)}) as server:
            judge(t, "product", [server.url], {"FOLDER": str(files), "KEY": key, "OTHER": other})
        ended(t, server, [key, other])
    return t


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fixtures", action="store_true")
    parser.add_argument("--over", action="append", choices=["http", "stdio"])
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND")
    options = parser.parse_args()
    if not options.command:
        parser.error("which COMMAND?")
    options.command[0] = os.path.abspath(options.command[0])
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
    tally = Tally()
    if options.fixtures:
        tally.where = "fixtures"
        with serving.Serving(options.command) as server:
            judge(tally, "fixtures", [server.url], {})
    else:
        # Both at once: nearly all of it is waiting.
        with concurrent.futures.ThreadPoolExecutor() as threads:
            runs = [threads.submit(product, options.command[0], over) for over in options.over or ["http", "stdio"]]
            for it in concurrent.futures.as_completed(runs):
                tally.passed, tally.failed = tally.passed + it.result().passed, tally.failed + it.result().failed
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
