#!/usr/bin/env python3
"""Drives jumpvisor over HTTP by the official Python MCP client, in both protocol eras.

    tests/peers/.build/venv/bin/python tests/peers/sdk_http.py [--mode MODE]... [--model esx|vpx]...
        [--part PART]... COMMAND...

COMMAND serves MCP at MCP_HOST and MCP_PORT (`{port}` in it is the port, too): `jumpvisor serve`. The
parts, all of them when none is given:

    calls      without sign-in or approval: what `sdk_checks.py` checks, and how it ends
    approval   the person is asked, and says yes, no, or cannot be asked
    consoles   a client is told that a console has said something (COMMAND gets `--demo` as its first
               argument, and `edge01` there has a serial port)
    signin     keys and tokens of a real OpenID provider: see `sdk_signin.py`
    typescript both TypeScript clients, in short: see `sdk_http.mjs`

--mode as for `sdk_stdio.py`; --model is esx unless told. A line for each check, then `N passed, M failed`.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import warnings

import anyio
import mcp_types as types
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

import peer
import sdk_checks
import sdk_signin
import serving
from sdk_checks import MODERN, state
from tally import Tally, bad, expect, good, text

# ---- What the checks assume of jumpvisor's answers, beside what sdk_checks.py says.

OPEN = {"APPROVAL": "off"}
ASKING = {"APPROVAL": "destructive"}
TOKEN = "approval_token"
CONSOLE = "serial://edge01"
CONSOLES = {**OPEN, "TOOLSETS": "power,serial"}


@contextlib.asynccontextmanager
async def connect(url, mode, headers=None, auth=None, **more):
    async with create_mcp_http_client(headers=headers, auth=auth) as http:
        transport = streamable_http_client(url, http_client=http)
        async with Client(transport, mode=mode, read_timeout_seconds=30, **more) as client:
            yield client


async def calls(t, mode, server, sim):
    with t.check("connects, serves and lets go"):
        async with connect(server.url, mode) as client:
            capabilities = await sdk_checks.era(t, client, mode)
            await sdk_checks.listing(t, client)
            names = await sdk_checks.reading(t, client, sim)
            with t.check("has VMs to go on with"):
                expect(names, "no rows from list_vms: the other checks were not tried")
            if names:
                await sdk_checks.errors(t, client, names)
                await sdk_checks.power(t, client, names[-1])
                await sdk_checks.snapshot(t, client, names[-1], sim)
                await sdk_checks.together(t, client, names, sim)
                await sdk_checks.offers(t, client, names, capabilities)
    with t.check("eight clients at once, each with its own answers"):

        async def one(number):
            async with connect(server.url, mode) as client:
                for limit in (1, 2):
                    result = good(await client.call_tool("list_vms", {"limit": limit}))
                    expect(len(sdk_checks.vms(result)) == limit, f"client {number}: {result.structured_content}")

        async with anyio.create_task_group() as group:
            for number in range(8):
                group.start_soon(one, number)
    sim.forget_counts()


class Asked:
    """A person who answers every question in the same way."""

    def __init__(self, action):
        self.action, self.questions = action, []

    async def __call__(self, _, params):
        self.questions.append(params)
        if self.action != "accept":
            return types.ElicitResult(action=self.action)
        # Every box is ticked, whatever its name.
        wanted = params.requested_schema.get("properties", {})
        return types.ElicitResult(action="accept", content={n: True for n, it in wanted.items() if it.get("type") == "boolean"})


async def approval(t, mode, server, sim):
    """What destroys runs after consent alone."""
    name = None

    async def ready(client):
        nonlocal name
        name = name or sdk_checks.vms(good(await client.call_tool("list_vms", {})))[-1]["name"]
        with contextlib.suppress(AssertionError):
            await client.call_tool("power_on", {"name": name})
        expect(await state(client, name) == "on", f"{name} is not on")

    for action, after in (("decline", "on"), ("cancel", "on"), ("accept", "off")):
        with t.check(f"power_off, and the person says {action}: the VM is {after}"):
            person = Asked(action)
            async with connect(server.url, mode, elicitation_callback=person) as client:
                await ready(client)
                sim.forget_counts()
                person.questions.clear()
                result = await client.call_tool("power_off", {"name": name})
                expect(len(person.questions) == 1, f"asked {len(person.questions)} times: {text(result)}")
                expect(name in person.questions[0].message, f"the question: {person.questions[0].message}")
                (good if action == "accept" else bad)(result)
                expect(await state(client, name) == after, f"it is {await state(client, name)}")
                counted = sim.counts().get("PowerOffVM_Task", 0)
                expect(counted == (after == "off"), f"PowerOffVM_Task {counted} times")
    with t.check("dry_run and reading ask nobody"):
        person = Asked("decline")
        async with connect(server.url, mode, elicitation_callback=person) as client:
            await client.call_tool("power_on", {"name": name})
            person.questions.clear()
            good(await client.call_tool("power_off", {"name": name, "dry_run": True}))
            good(await client.call_tool("get_vm_info", {"name": name}))
            expect(not person.questions, f"{person.questions}")
    with t.check("a client that cannot ask gets the plan and a token, which lets it through once"):
        async with connect(server.url, mode) as client:
            await ready(client)
            plan = good(await client.call_tool("power_off", {"name": name}))
            token = plan.structured_content[TOKEN]
            expect(name in text(plan), f"the plan: {text(plan)}")
            expect(await state(client, name) == "on", "it was not asked for yet")
            good(await client.call_tool("power_off", {"name": name, TOKEN: token}))
            expect(await state(client, name) == "off", "the token did not do")
            await ready(client)
            again = await client.call_tool("power_off", {"name": name, TOKEN: token})
            expect(again.is_error or TOKEN in again.structured_content, f"the token did twice: {text(again)}")
            expect(await state(client, name) == "on", "the token did twice")
    with t.check("a token of one plan is none for another tool or another VM"):
        async with connect(server.url, mode) as client:
            await ready(client)
            plan = good(await client.call_tool("power_off", {"name": name}))
            token = plan.structured_content[TOKEN]
            rows = sdk_checks.vms(good(await client.call_tool("list_vms", {"power_state": "on"})))
            others = [("reset_vm", name), *(("power_off", row["name"]) for row in rows if row["name"] != name)]
            sim.forget_counts()
            for tool, vm in others:
                other = await client.call_tool(tool, {"name": vm, TOKEN: token})
                expect(other.is_error or TOKEN in other.structured_content, f"{tool} of {vm} takes it: {text(other)}")
            expect(not {"PowerOffVM_Task", "ResetVM_Task"} & set(sim.counts()), f"{sim.counts()}")


async def consoles(t, mode, server, _):
    """Told of a change by a stream that stays open, as each era has it."""
    told = []
    came = anyio.Event()

    def tell(uri):
        told.append(str(uri))
        came.set()

    async def message(it):
        if isinstance(it, types.ResourceUpdatedNotification):
            tell(it.params.uri)

    async def person(_, params):
        return types.ElicitResult(action="decline")

    with t.check("a console is set up"):
        async with connect(server.url, mode) as client:
            for tool, more in (("power_off", {}), ("setup_serial_port", {"port": serving.free_port()}), ("power_on", {})):
                good(await client.call_tool(tool, {"name": "edge01", **more}))
    with t.check("a console that says something is told of, once asked for, and no more after that"):
        # In the older era only a client that can be asked gets a session, and with it such a stream.
        async with connect(server.url, mode, message_handler=message, elicitation_callback=person) as client:

            async def speak():
                good(await client.call_tool("write_serial", {"name": "edge01", "text": "\r"}))

            if client.protocol_version == MODERN:
                async with anyio.create_task_group() as group:
                    async with client.listen(resource_subscriptions=[CONSOLE]) as stream:
                        expect(stream.honored.resource_subscriptions == [CONSOLE], f"{stream.honored}")

                        async def hear():
                            async for event in stream:
                                tell(event.uri)

                        group.start_soon(hear)
                        await speak()
                        with anyio.move_on_after(10):
                            await came.wait()
                        group.cancel_scope.cancel()
            else:
                await client.subscribe_resource(CONSOLE)
                await speak()
                with anyio.move_on_after(10):
                    await came.wait()
                await client.unsubscribe_resource(CONSOLE)
            expect(told and set(told) == {CONSOLE}, f"told of {told} within 10 s")
            said = (await client.read_resource(CONSOLE)).contents[0]
            expect(getattr(said, "text", ""), "the console has said nothing")
            told.clear()
            await speak()
            await anyio.sleep(1)
            expect(not told, f"told of {told} after the end")


def typescript(t, command, sim):
    """Its lines are shown as they are, its counts are added."""
    with tempfile.TemporaryDirectory() as folder:
        path, key, _ = sdk_signin.keys_file(folder)
        environment = {**sim.environment(), **ASKING, "API_KEYS_FILE": str(path)}
        with serving.Serving(command, environment) as server:
            program = [serving.NODE, "--no-warnings", serving.BUILD.parent / "sdk_http.mjs", serving.BUILD / "node", server.url]
            done = subprocess.run(program, env={**os.environ, "KEY": key}, capture_output=True, text=True, timeout=240)
            sim.forget_counts()
    *lines, counts = done.stdout.splitlines() or [""]
    for line in lines:
        print(line.replace("    ", f"    {t.where} ", 1) if line.startswith("ok") else line.replace("  ", f"  {t.where} ", 1))
    with t.check("both clients came to the end"):
        expect(counts.startswith("{"), f"{counts} {done.stderr[-600:]}")
        counts = json.loads(counts)
        t.passed, t.failed = t.passed + counts["passed"], t.failed + counts["failed"]
    ended(t, server, sim, [key])


def ended(t, server, sim, secrets):
    with t.check("SIGTERM ends it well" + (", and it logs out" if sim else "")):
        expect(server.code == 0, f"it ended with {server.code}: {server.said[-300:]}")
        if sim:
            expect(sim.counts().get("Logout", 0) >= 1, f"{sim.counts()}")
    with t.check("no panic, no password, no token was logged"):
        expect("panicked" not in server.said, server.said[-300:])
        for value in secrets:
            expect(value not in server.said, "a secret is in the log")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mode", action="append", choices=["legacy", MODERN, "auto"])
    parser.add_argument("--model", action="append", choices=["esx", "vpx"])
    parser.add_argument("--part", action="append", choices=["calls", "approval", "consoles", "signin", "typescript"])
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND")
    options = parser.parse_args()
    if not options.command:
        parser.error("which COMMAND?")
    options.command[0] = os.path.abspath(options.command[0])  # no links followed: a venv is one
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
    warnings.simplefilter("ignore")  # of the client, about the older era
    tally = Tally()
    parts = options.part or ["calls", "approval", "consoles", "signin", "typescript"]
    modes = options.mode or ["legacy", MODERN, "auto"]

    def run(part, where, command, environment, sim, mode):
        tally.where = where
        with serving.Serving(command, environment) as server:
            anyio.run(part, tally, mode, server, sim)
        ended(tally, server, sim, [it for name, it in environment.items() if "PASS" in name])

    for model in options.model or ["esx"]:
        for mode in modes:
            for name, part, wishes in (("calls", calls, OPEN), ("approval", approval, ASKING)):
                if name not in parts:
                    continue
                with peer.Simulator(model, "-task-time", "600ms") as sim:
                    environment = {**sim.environment(), **wishes}
                    run(part, f"{name} {model} {mode}", options.command, environment, sim, mode)
    if "consoles" in parts:
        demo = [options.command[0], "--demo", *options.command[1:]]
        for mode in modes:
            run(consoles, f"consoles {mode}", demo, CONSOLES, None, mode)
    if "signin" in parts:
        with peer.Simulator("esx") as sim:
            sdk_signin.run(tally, modes, options.command, {**sim.environment(), **OPEN}, connect)
    if "typescript" in parts:
        tally.where = "typescript"
        with peer.Simulator("esx", "-task-time", "600ms") as sim:
            typescript(tally, options.command, sim)
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
