"""What an official MCP client must find at jumpvisor, whichever way it came: see sdk_stdio.py, sdk_http.py.

`sim` is the simulator behind it, or None where somebody else's host is.
"""

import json

import anyio
import mcp_types as types
from mcp.shared.exceptions import MCPError

from tally import bad, expect, follow, good, text

# ---- What the checks assume of jumpvisor's answers; all of it is here.

SERVER = "jumpvisor"
MODERN = "2026-07-28"
DEFAULT_TOOLS = {
    "list_vms", "get_vm_info", "list_servers", "get_metrics",
    "power_on", "power_off", "shutdown_guest", "reboot_guest", "standby_guest", "reset_vm", "suspend_vm",
    "list_snapshots", "create_snapshot", "revert_to_snapshot", "revert_to_current_snapshot",
    "delete_snapshot", "delete_all_snapshots", "rename_snapshot",
}  # fmt: skip
VM_FIELDS = {"name", "power_state", "cpu", "memory_mb", "guest_os", "ip_addresses", "path", "id"}
LIST_BUDGET = 30_000  # bytes of tools/list for the default set
INVALID_PARAMS = -32602


def vms(result):
    return result.structured_content["vms"]


def total(result):
    return result.structured_content["total"]


def snapshots(result):
    """Names, from a list or a tree of `children`."""
    names = []

    def walk(rows):
        for row in rows:
            names.append(row["name"])
            walk(row.get("children") or [])

    walk(result.structured_content["snapshots"])
    return names


def outcome(result):
    """What a power tool says that it did."""
    return str(result.structured_content["result"])


# ---- The checks.


async def era(t, client, mode):
    """Returns the capabilities that were offered."""
    capabilities = None
    with t.check("says who it is, what it can do and how to be used"):
        wanted = "2025-11-25" if mode == "legacy" else MODERN
        expect(client.protocol_version == wanted, f"negotiated {client.protocol_version}, not {wanted}")
        if mode == MODERN:  # the client takes the era for granted and asks nothing
            raw = await client.session.send_discover(MODERN)
            lacking = {"resultType", "ttlMs", "cacheScope"} - set(raw)
            expect(not lacking, f"discover lacks {sorted(lacking)}")
            result = types.DiscoverResult.model_validate(raw)
            expect(MODERN in result.supported_versions, f"discover offers {result.supported_versions}")
            capabilities, instructions = result.capabilities, result.instructions
            name = (raw.get("_meta") or {}).get("io.modelcontextprotocol/serverInfo", {}).get("name")
        else:
            capabilities, instructions = client.server_capabilities, client.instructions
            name = client.server_info and client.server_info.name
        expect(name == SERVER, f"its name is {name!r}")
        for what in ("tools", "resources", "prompts"):
            expect(getattr(capabilities, what) is not None, f"no capability {what}")
        expect(instructions, "no instructions")
    if mode == "legacy":
        with t.check("answers a ping"):
            await client.session.send_ping()
    return capabilities


async def listing(t, client):
    tools = []
    with t.check("lists its tools, each one described"):
        tools = await follow(client.list_tools, "tools")
        names = [tool.name for tool in tools]
        expect(len(names) == len(set(names)), "a name twice")
        lacking = DEFAULT_TOOLS - set(names)
        expect(not lacking, f"lacking {sorted(lacking)}")
        for tool in tools:
            expect(tool.description, f"{tool.name}: no description")
            expect(tool.input_schema.get("type") == "object", f"{tool.name}: schema {tool.input_schema}")
            hints = tool.annotations
            expect(tool.title or (hints and hints.title), f"{tool.name}: no title")
            expect(hints and None not in (hints.read_only_hint, hints.destructive_hint), f"{tool.name}: no hints")
        by_name = {tool.name: tool.annotations for tool in tools}
        expect(by_name["list_vms"].read_only_hint, "list_vms is not marked as reading only")
        expect(not by_name["power_off"].read_only_hint and by_name["power_off"].destructive_hint, "power_off's hints")
    with t.check("and the list is small enough for a model"):
        size = len(json.dumps([tool.model_dump(by_alias=True, exclude_unset=True, mode="json") for tool in tools]))
        expect(tools and size <= LIST_BUDGET, f"{size} bytes")


async def reading(t, client, sim):
    """Returns the names that one VM alone bears."""
    names, twins, there = [], [], 0
    with t.check("list_vms: a row for each VM, with every field, and a text"):
        result = good(await client.call_tool("list_vms", {}))
        every = [row["name"] for row in vms(result)]
        names, twins = ([n for n in every if (every.count(n) > 1) == many] for many in (False, True))
        there = len(every)
        expect(len(names) >= 2 and total(result) == there, f"{total(result)} in all, rows: {every}")
        for row in vms(result):
            expect(VM_FIELDS <= set(row), f"{row['name']} lacks {sorted(VM_FIELDS - set(row))}")
            expect(row["power_state"] in ("on", "off", "suspended"), f"{row['name']} is {row['power_state']!r}")
            expect(names[0] in text(result), "the text does not name them")
    with t.check("list_vms limit=1: one row, and the total of all"):
        result = good(await client.call_tool("list_vms", {"limit": 1}))
        expect(len(vms(result)) == 1 and total(result) == there, f"{len(vms(result))} of {total(result)}")
    with t.check("list_vms name=NAME finds that one, name=no* none"):
        result = good(await client.call_tool("list_vms", {"name": names[0]}))
        expect([row["name"] for row in vms(result)] == [names[0]], f"rows: {vms(result)}")
        result = good(await client.call_tool("list_vms", {"name": "no-such-*"}))
        expect(vms(result) == [] and total(result) == 0, f"rows: {vms(result)}")
    if sim:
        with t.check("list_vms power_state, ip_addresses as the guest reports them"):
            rows = vms(good(await client.call_tool("list_vms", {"power_state": "on"})))
            expect(any("10.0.0.10" in row["ip_addresses"] for row in rows), f"nobody has 10.0.0.10: {rows}")
        with t.check("list_vms, once connected, is one query"):
            sim.forget_counts()
            good(await client.call_tool("list_vms", {"no_cache": True}))
            counts = sim.counts()
            queries = {k: v for k, v in counts.items() if k not in ("connections", "total")}
            expect(queries.get("RetrievePropertiesEx") == 1, f"asked {queries}")
            expect(sum(queries.values()) <= 3, f"asked {queries}")  # with a view made and destroyed
    with t.check("get_vm_info: about the VM asked for, by name and by id"):
        result = good(await client.call_tool("get_vm_info", {"name": names[0]}))
        expect(result.structured_content.get("name") == names[0], f"{result.structured_content}")
        row = vms(await client.call_tool("list_vms", {"name": names[0]}))[0]
        result = good(await client.call_tool("get_vm_info", {"name": row["id"]}))
        expect(result.structured_content.get("name") == names[0], f"{result.structured_content}")
    if sim and sim.model == "vpx":
        with t.check("get_vm_info of a name that two bear: isError, with both paths and ids"):
            rows = [row for row in vms(await client.call_tool("list_vms", {})) if row["name"] in twins]
            expect(len(rows) == 2, f"namesakes: {rows}")
            bad(await client.call_tool("get_vm_info", {"name": twins[0]}), *(r[k] for r in rows for k in ("path", "id")))
    return names


async def errors(t, client, names):
    with t.check("an unknown VM: isError, naming it"):
        bad(await client.call_tool("get_vm_info", {"name": "no-such-vm"}), "no-such-vm")
    with t.check("a missing argument: isError, naming it"):
        bad(await client.call_tool("get_vm_info", {}), "name")
    with t.check("an argument of the wrong type: isError, naming it"):
        bad(await client.call_tool("list_vms", {"limit": "many"}), "limit")
    with t.check("an argument that it does not have: isError, naming it"):
        bad(await client.call_tool("get_vm_info", {"name": names[0], "colour": "red"}), "colour")
    with t.check("an unknown tool: error -32602"):
        try:
            result = await client.session.call_tool("no_such_tool", {})
            raise AssertionError(f"it answered: {text(result)}")
        except MCPError as e:
            expect(e.code == INVALID_PARAMS, f"{e.code} {e}")


async def state(client, name):
    return vms(await client.call_tool("list_vms", {"name": name, "no_cache": True}))[0]["power_state"]


async def power(t, client, name):
    with t.check("power_off dry_run says what it would do, and does not"):
        await client.call_tool("power_on", {"name": name})
        good(await client.call_tool("power_off", {"name": name, "dry_run": True}))
        expect(await state(client, name) == "on", "the VM is off")
    for tool, after in (("power_off", "off"), ("power_on", "on")):
        with t.check(f"{tool}: the VM is {after}; again: already so, and no error"):
            result = good(await client.call_tool(tool, {"name": name}))
            expect("already" not in text(result), f"the first time: {text(result)}")
            expect(result.structured_content["vm"], "it does not say which VM")
            expect(await state(client, name) == after, f"the VM is {await state(client, name)}")
            result = good(await client.call_tool(tool, {"name": name}))
            expect("already" in text(result), f"the second time: {text(result)}")
            expect("already" in outcome(result), f"the second time: {outcome(result)}")


async def snapshot(t, client, name, sim):
    wanted = {"name": name, "snapshot_name": "before update", "memory": False}
    seen = []

    async def progress(done, of, message):
        seen.append((done, of, message))

    with t.check("create_snapshot, and list_snapshots shows it"):
        good(await client.call_tool("create_snapshot", wanted, progress_callback=progress))
        result = good(await client.call_tool("list_snapshots", {"name": name}))
        expect(snapshots(result) == ["before update"], f"{snapshots(result)}")
        expect("before update" in text(result), f"the text: {text(result)}")
    if sim:
        with t.check("which reported its progress, rising"):
            expect(len(seen) >= 2, f"reports: {seen}")
            steps = [done for done, _, _ in seen]
            expect(steps == sorted(set(steps)), f"reports: {seen}")
    with t.check("delete_snapshot removes it; the second time there is no such snapshot"):
        only = {"name": name, "snapshot_name": "before update"}
        good(await client.call_tool("delete_snapshot", only))
        result = good(await client.call_tool("list_snapshots", {"name": name}))
        expect(snapshots(result) == [], f"{snapshots(result)}")
        bad(await client.call_tool("delete_snapshot", only), "before update")


async def together(t, client, names, sim):
    with t.check("eight calls at once, eight answers"):
        results = []

        async def one(name):
            results.append((name, await client.call_tool("get_vm_info", {"name": name})))

        async with anyio.create_task_group() as group:
            for i in range(8):
                group.start_soon(one, names[i % len(names)])
        for name, result in results:
            expect(good(result).structured_content.get("name") == name, f"{name}: {result.structured_content}")
    if not sim:
        return
    with t.check("a slow call does not hold up a quick one"):
        order = []

        async def slow():
            good(await client.call_tool("reset_vm", {"name": names[-1]}))
            order.append("slow")

        async with anyio.create_task_group() as group:
            group.start_soon(slow)
            await anyio.sleep(0.05)
            good(await client.call_tool("list_vms", {}))
            order.append("quick")
        expect(order == ["quick", "slow"], f"{order}")
    with t.check("a cancelled call cancels the host's task, and the next one works"):
        sim.forget_counts()
        with anyio.move_on_after(0.25) as scope:
            await client.call_tool("create_snapshot", {"name": names[-1], "snapshot_name": "never", "memory": False})
        expect(scope.cancelled_caught, "it had ended before it could be cancelled")
        for _ in range(20):
            if "CancelTask" in sim.counts():
                break
            await anyio.sleep(0.1)
        expect(sim.counts().get("CreateSnapshot_Task") == 1, f"{sim.counts()}")
        expect("CancelTask" in sim.counts(), f"no CancelTask within 2 s: {sim.counts()}")
        good(await client.call_tool("list_vms", {}))
        await client.call_tool("delete_all_snapshots", {"name": names[-1]})
    with t.check("a task is waited for, not polled"):
        sim.forget_counts()
        good(await client.call_tool("reset_vm", {"name": names[-1]}))
        expect(sim.counts()["total"] <= 30, f"{sim.counts()}")
    with t.check("sessions lost on the host: the next call logs in again"):
        sim.lose_sessions()
        sim.forget_counts()
        good(await client.call_tool("list_vms", {"no_cache": True}))
        expect(sim.counts().get("Login") == 1, f"{sim.counts()}")


async def offers(t, client, names, capabilities):
    with t.check("resources: esxi://vms is listed and holds the VMs as JSON"):
        resources = await follow(client.list_resources, "resources")
        uris = [str(r.uri) for r in resources]
        expect("esxi://vms" in uris, f"{uris}")
        read = await client.read_resource("esxi://vms")
        if client.protocol_version == MODERN:  # required, and the client does not mind
            expect({"ttl_ms", "cache_scope"} <= read.model_fields_set, "no ttlMs, cacheScope")
        for part in read.contents:
            expect(part.mime_type == "application/json", f"{part.mime_type}")
            json.loads(part.text)
            expect(names[0] in part.text, f"{part.text[:200]}")
    with t.check("resource templates: at least one"):
        templates = await follow(client.list_resource_templates, "resource_templates")
        expect(templates and all("{" in r.uri_template for r in templates), f"{templates}")
    with t.check("an unknown resource: an error"):
        try:
            await client.read_resource("esxi://no-such-thing")
            raise AssertionError("it answered")
        except MCPError as e:
            expect(e.code in (INVALID_PARAMS, -32002), f"{e.code} {e}")
    prompts = []
    with t.check("prompts: the first one can be had"):
        prompts = await follow(client.list_prompts, "prompts")
        expect(prompts, "none")
        needed = {a.name: names[0] for a in prompts[0].arguments or [] if a.required}
        got = await client.get_prompt(prompts[0].name, needed)
        expect(got.messages and got.messages[0].content.type == "text", f"{got.messages}")
    with t.check("an unknown prompt: error -32602"):
        try:
            await client.get_prompt("no_such_prompt", {})
            raise AssertionError("it answered")
        except MCPError as e:
            expect(e.code == INVALID_PARAMS, f"{e.code} {e}")
    with_arguments = [p for p in prompts if p.arguments]
    if not capabilities or not capabilities.completions:
        t.skip("completion", "not offered")
    elif not with_arguments:
        t.skip("completion", "no prompt has an argument")
    else:
        with t.check("completion answers for a prompt's argument"):
            prompt = with_arguments[0]
            ref = types.PromptReference(type="ref/prompt", name=prompt.name)
            got = await client.complete(ref, {"name": prompt.arguments[0].name, "value": ""})
            expect(isinstance(got.completion.values, list) and len(got.completion.values) <= 100, f"{got}")
