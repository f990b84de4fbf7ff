"""Ten thousand machines: how soon they are there, and that all of them are told."""

import os
import pathlib
import subprocess
import time

from pyVmomi import vim

from sim_checks import check, same

MANY = 10_000


def memory(pid):
    """Megabytes that a process holds."""
    line = next(it for it in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if it.startswith("VmRSS"))
    return int(line.split()[1]) // 1024


@check("ten thousand machines are told whole, to pyVmomi and to our own client", options=("--vms", str(MANY)))
def many(server):
    begun = time.monotonic()
    server.login().content.sessionManager.Logout()
    first = time.monotonic() - begun
    begun = time.monotonic()
    rows, pages = server.properties(server.si, vim.VirtualMachine, ["name", "runtime.powerState"], 1000)
    listed = time.monotonic() - begun
    same((len(rows), pages), (MANY, MANY // 1000))
    same(len({it["name"] for it in rows.values()}), MANY, "names")
    same({it["runtime.powerState"] for it in rows.values()}, {"poweredOn", "poweredOff"})

    settings = {"ESXI_HOST": server.address.split("//")[1], "ESXI_USER": "root", "ESXI_PASS": "secret",
                "ESXI_CA_FILE": server.ca}  # fmt: skip
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("ESXI_", "VCENTER_"))}
    begun = time.monotonic()
    # In its own directory, so that no .env of a developer is read.
    done = subprocess.run(
        [server.process.args[0], "call", "list_vms", "limit=1000", "offset=9000"],
        env={**clean, **settings}, cwd=server.directory.name, capture_output=True, text=True,
    )  # fmt: skip
    own = time.monotonic() - begun
    same(done.returncode, 0, done.stderr)
    assert f" of {MANY};" in done.stdout, done.stdout[-300:]
    print(
        f"      {MANY} machines: address after {server.started:.2f} s, first login {first:.2f} s, listed in "
        f"{listed:.2f} s (our client: {own:.2f} s), {memory(server.process.pid)} MB",
        flush=True,
    )
