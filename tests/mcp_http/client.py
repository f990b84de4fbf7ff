#!/usr/bin/env python3
"""Drives a service over HTTP by the official Python MCP client, in both protocol eras.

    tests/peers/.build/venv/bin/python tests/mcp_http/client.py URL MODE

The test beside it starts the service, which has the tool `trial_consent` that asks back, and a machine
`slow` that works until it is cancelled. MODE is legacy, 2026-07-28 or auto. Prints what it saw.
"""

import sys

import anyio
import mcp_types as types
from mcp import Client

URL, MODE = sys.argv[1:]


async def answered(_context, params):
    print("asked:", params.message, flush=True)
    return types.ElicitResult(action="accept", content={"approve": True})


async def main():
    async with Client(URL, mode=MODE, elicitation_callback=answered) as client:
        print("version:", client.protocol_version)
        page = await client.list_tools()
        print("tools:", len(page.tools) > 20)
        result = await client.call_tool("list_vms", {})
        print("vms:", [vm["name"] for vm in result.structured_content["vms"]])
        result = await client.call_tool("power_on", {"name": "db"})
        print("refused:", result.is_error)
        result = await client.read_resource("esxi://vms")
        print("resource:", result.contents[0].mime_type)
        if MODE == "legacy":
            await client.session.send_ping()
            result = await client.call_tool("trial_consent", {})
            print("consent:", result.content[0].text)
        with anyio.CancelScope() as scope:

            async def heard(progress, total, message):
                print("progress:", total, message, flush=True)
                scope.cancel()

            await client.call_tool("power_on", {"name": "slow"}, progress_callback=heard)
        print("cancelled:", scope.cancelled_caught)
        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(client.call_tool, "list_vms", {})
        print("many: True")
    print("ended", flush=True)


anyio.run(main)
