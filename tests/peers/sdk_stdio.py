#!/usr/bin/env python3
"""Drives jumpvisor over stdio by the official Python MCP client, in both protocol eras.

    tests/peers/.build/venv/bin/python tests/peers/sdk_stdio.py [--mode MODE]... [--model esx|vpx]... BINARY [ARGUMENT]...

With --model it starts the simulator itself (several models: one run each), which also lets it count
requests, lose sessions and watch tasks being cancelled. Without, the caller's environment says which
host BINARY manages (ESXI_HOST and so on); it needs two VMs there, and powers the last one off and on.
--mode is legacy (initialize), 2026-07-28 (server/discover and no more), auto (what the client does by
itself); all three when none is given. A line for each check, then `N passed, M failed`.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import anyio
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

import peer
from sdk_checks import MODERN, era, errors, listing, offers, power, reading, snapshot, together
from tally import Tally, expect


def discover_then_initialize(command, environment, cwd):
    """What Claude Code does: both handshakes on one process, the second without the new envelope.

    Raw lines, because the SDK stamps that envelope on everything that follows a discover.
    """
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}
    messages = [
        {"id": 1, "method": "server/discover", "params": {"_meta": meta}},
        {"id": 2, "method": "initialize", "params": hello},
        {"method": "notifications/initialized"},
        {"id": 3, "method": "tools/list"},
        {"id": 4, "method": "tools/list", "params": {"_meta": meta}},
    ]
    lines = "".join(json.dumps({"jsonrpc": "2.0", **message}) + "\n" for message in messages)
    done = subprocess.run(command, input=lines, env=environment, cwd=cwd, capture_output=True, text=True, timeout=20)
    answers = {answer["id"]: answer.get("result") for answer in map(json.loads, done.stdout.splitlines())}
    expect("2026-07-28" in answers[1]["supportedVersions"], f"{answers[1]}")
    expect(answers[2]["protocolVersion"] == "2025-11-25", f"{answers[2]}")
    expect(answers[3]["tools"] and answers[4]["tools"], "no tools in one of the eras")


async def drive(t, mode, command, environment, sim, errlog, cwd):
    noise = []

    async def incoming(message):
        if isinstance(message, Exception):
            noise.append(message)

    inherited = {k: v for k, v in os.environ.items() if not (sim and k.startswith(("ESXI_", "VCENTER_")))}
    target = StdioServerParameters(command=command[0], args=command[1:], env={**inherited, **environment}, cwd=cwd)
    left = None
    with t.check("starts, serves and ends"):
        async with Client(
            stdio_client(target, errlog=errlog), mode=mode, read_timeout_seconds=30, message_handler=incoming
        ) as client:
            capabilities = await era(t, client, mode)
            await listing(t, client)
            names = await reading(t, client, sim)
            with t.check("has VMs to go on with"):
                expect(names, "no rows from list_vms: the other checks were not tried")
            if names:
                await errors(t, client, names)
                await power(t, client, names[-1])
                await snapshot(t, client, names[-1], sim)
                await together(t, client, names, sim)
                await offers(t, client, names, capabilities)
            if mode == "auto":
                with t.check("initialize after discover, on the same process"):
                    discover_then_initialize(command, {**inherited, **environment}, cwd)
            if sim:
                sim.forget_counts()
            left = time.monotonic()
    if left is None:
        return
    with t.check("ends by itself when its input ends" + (", and logs out" if sim else "")):
        took = time.monotonic() - left
        expect(took < 2, f"the client had to end it ({took:.1f} s)")
        if sim:
            expect(sim.counts().get("Logout") == 1, f"{sim.counts()}")
    with t.check("wrote nothing but messages, no panic, no password"):
        expect(not noise, f"on standard output: {noise[:1]}")
        errlog.seek(0)
        said = errlog.read()
        expect("panicked" not in said, said[-300:])
        for name, value in environment.items():
            if "PASS" in name:
                expect(value not in said, "the password is on standard error")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mode", action="append", choices=["legacy", MODERN, "auto"])
    parser.add_argument("--model", action="append", choices=["esx", "vpx"])
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="BINARY")
    options = parser.parse_args()
    if not options.command:
        parser.error("which BINARY?")
    options.command[0] = str(pathlib.Path(options.command[0]).resolve())
    tally = Tally()

    def run(mode, where, environment, sim):
        tally.where = where
        # A working directory of its own: no .env of the caller's may be read.
        with tempfile.TemporaryFile("w+") as errlog, tempfile.TemporaryDirectory() as cwd:
            anyio.run(drive, tally, mode, options.command, environment, sim, errlog, cwd)

    for mode in options.mode or ["legacy", MODERN, "auto"]:
        if not options.model:
            run(mode, mode, {}, None)
        for model in options.model or []:
            twins = ["-two-same-names"] if model == "vpx" else []
            with peer.Simulator(model, "-task-time", "600ms", *twins) as sim:
                run(mode, f"{model} {mode}", sim.environment(), sim)
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
