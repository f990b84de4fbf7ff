#!/usr/bin/env python3
"""Has the official conformance suites judge a server, and compares with what is expected of it.

    tests/peers/conformance.py [--run RUN]... [--expect FILE] [--model esx|vpx] (--url URL | COMMAND...)

COMMAND is started with MCP_HOST and MCP_PORT in its environment, `{port}` in it is the port; with
--model it manages a host that the simulator plays. The suites bring no token: it serves without
sign-in. RUN is 2026-07-28 or 2025-11-25 (the newest suite, by the requirements of that revision) or
0.1.16 (the last suite of the older era); all three when none is given.

FILE (tests/peers/conformance/expected-fixtures.txt unless told) has a line `RUN SCENARIO` for each
scenario that passes; `-CHECK` behind it are checks that fail in it nevertheless. Exits 1 where
anything else fails, and where a line is stale: its `-CHECK` passes or is gone, its scenario is gone or
all of it is skipped, or a scenario passes that has no line. UPDATE=1 writes FILE from what was seen. A
run takes about 10 s.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import serving

HERE = pathlib.Path(__file__).resolve().parent
NEW = "@modelcontextprotocol/conformance"
RUNS = {
    "2026-07-28": (NEW, ["--requirements", "2026-07-28"]),
    "2025-11-25": (NEW, ["--requirements", "2025-11-25"]),
    "0.1.16": ("conformance-of-2025", ["--suite", "active"]),
}
BOUND = 180  # seconds for a run
STAMP = re.compile(r"^server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z$")


class Scenario:
    """Checks by id; one that failed anywhere has failed."""

    def __init__(self, checks):
        self.passed = sum(check["status"] == "SUCCESS" for check in checks)
        self.failures = [check for check in checks if check["status"] == "FAILURE"]
        self.failed = {check["id"] for check in self.failures}
        self.skipped = not self.passed and not self.failed

    def why(self, ids):
        """The first of these failures in words."""
        for check in self.failures:
            if check["id"] in ids:
                said = check.get("errorMessage") or check.get("description") or check["id"]
                return f"{check['id']}: {' '.join(said.split())[:300]}"
        return ""


def judge(run, url):
    """What the suite says: scenarios by name, those that do not count, and its own words."""
    package, options = RUNS[run]
    program = serving.MODULES / package / "dist/index.js"
    with tempfile.TemporaryDirectory() as folder:
        command = [serving.NODE, program, "server", "--url", url, *options, "-o", folder]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=BOUND)
        except subprocess.TimeoutExpired:
            raise SystemExit(f"the run {run} did not end within {BOUND} s") from None
        seen = {}
        for path in sorted(pathlib.Path(folder).glob("*/checks.json")):
            name = STAMP.match(path.parent.name)
            if name:
                seen[name[1]] = Scenario(json.loads(path.read_text()))
    said = done.stdout + done.stderr
    if not seen:
        raise SystemExit(f"the run {run} judged nothing: {said[-1500:].strip()}")
    unscored = set(re.findall(r"^  [✓✗] (\S+) \(", said.partition("\nNot scored")[2], re.M))
    return seen, unscored, said


def read(path):
    """(run, scenario) -> checks that fail nevertheless."""
    expected = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) < 2 or words[0] not in RUNS or not all(w.startswith("-") for w in words[2:]):
            raise SystemExit(f"{path}:{number}: not `RUN SCENARIO [-CHECK]...`")
        if (words[0], words[1]) in expected:
            raise SystemExit(f"{path}:{number}: the second line for this scenario")
        expected[words[0], words[1]] = {word[1:] for word in words[2:]}
    return expected


def compare(run, seen, expected, said):
    """Sentences, each of which fails the run."""
    wrong = []
    for name, scenario in seen.items():
        may = expected.get((run, name))
        if may is None:
            if not scenario.failed and not scenario.skipped:
                wrong.append(f"{name} passes and has no line")
            continue
        if scenario.skipped:
            wrong.append(f"{name} has a line, and all of it was skipped")
        if new := scenario.failed - may:
            wrong.append(f"{name} fails: {scenario.why(new)}")
        for check in sorted(may - scenario.failed):
            wrong.append(f"{name}: -{check} is stale, it does not fail")
    for its, name in expected:
        if its == run and name not in seen:
            mentioned = [line.strip() for line in said.splitlines() if name in line]
            wrong.append(f"{name} was not judged{': ' + mentioned[0][:300] if mentioned else ''}")
    return wrong


def write(path, results):
    """The comment on top stays."""
    head = []
    for line in path.read_text().splitlines() if path.exists() else []:
        if not line.startswith("#"):
            break
        head.append(line)
    kept = [f"{run} {' '.join([name, *sorted('-' + check for check in may)])}" for (run, name), may in results]
    path.write_text("\n".join([*head, *kept]) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", action="append", choices=list(RUNS))
    parser.add_argument("--expect", type=pathlib.Path, default=HERE / "conformance/expected-fixtures.txt")
    parser.add_argument("--model", choices=["esx", "vpx"])
    parser.add_argument("--url")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND")
    options = parser.parse_args()
    if bool(options.url) == bool(options.command):
        parser.error("either --url or a COMMAND")
    if not serving.NODE.exists():
        raise SystemExit("there is no Node to run the suites with: run tests/peers/install")
    if options.command and "/" in options.command[0]:
        options.command[0] = os.path.abspath(options.command[0])  # no links followed: a venv is one
    update = os.environ.get("UPDATE") == "1"
    expected = {} if update and not options.expect.exists() else read(options.expect)
    runs = options.run or list(RUNS)
    results, wrong = [(key, may) for key, may in expected.items() if key[0] not in runs], []
    with contextlib.ExitStack() as stack:
        environment = {}
        if options.model:
            import peer

            environment = stack.enter_context(peer.Simulator(options.model)).environment()
        url = options.url
        if not url:
            # By name: one scenario judges the names by which a server on loopback may be reached.
            server = stack.enter_context(serving.Serving(options.command, environment))
            url = server.url.replace("127.0.0.1", "localhost")
        for run in runs:
            seen, unscored, said = judge(run, url)
            print(f"{run + ':':<56}passed  failed")
            for name, scenario in sorted(seen.items()):
                shown = name + (" (not scored)" if name in unscored else "")
                note = "" if (run, name) in expected else "   not expected to pass" if scenario.failed else ""
                note = "   skipped all of it" if scenario.skipped else note
                print(f"  {shown:<52}{scenario.passed:>8}{len(scenario.failures):>8}{note}")
            scored = [it for name, it in seen.items() if name not in unscored]
            good = sum(not it.failed for it in scored)
            print(f"  {good} of {len(scored)} scored scenarios, {sum(it.passed for it in seen.values())} checks passed,"
                  f" {sum(len(it.failures) for it in seen.values())} failed", flush=True)  # fmt: skip
            if not update:
                wrong += [f"{run}: {it}" for it in compare(run, seen, expected, said)]
            # A scenario that only partly passes keeps its line, if it has one.
            kept = {n: it.failed for n, it in sorted(seen.items())
                    if not it.skipped and (not it.failed or (run, n) in expected)}  # fmt: skip
            results += [((run, name), failed) for name, failed in kept.items()]
    if update:
        order = list(RUNS)
        write(options.expect, sorted(results, key=lambda it: (order.index(it[0][0]), it[0][1])))
    for it in wrong:
        print(f"FAIL  {it}")
    print(f"{options.expect.name}: {'written' if update else 'as expected' if not wrong else f'{len(wrong)} differ'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
