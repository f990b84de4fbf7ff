"""A server on stdio as a benchmark sees it: a process, a line out, a line in."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BINARY = ROOT / "target/x86_64-unknown-linux-musl/release/jumpvisor"
sys.path.insert(0, str(ROOT / "tests/peers"))

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}},
}
DISCOVER = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "server/discover",
    "params": {
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        }
    },
}


def peers():
    """Installs the peers, and goes on in their Python."""
    subprocess.run([ROOT / "tests/peers/install"], check=True)
    python = ROOT / "tests/peers/.build/venv/bin/python"
    if pathlib.Path(sys.prefix) != python.parent.parent:
        os.execv(python, [str(python), *sys.argv])


def binary(path):
    path = pathlib.Path(path).resolve()
    if not os.access(path, os.X_OK):
        sys.exit(f"{path} is not there: cargo build --release --target x86_64-unknown-linux-musl makes it")
    return path


class Server:
    def __init__(self, command, environment):
        self.place = tempfile.TemporaryDirectory()  # no .env of the caller's
        env = {k: v for k, v in os.environ.items() if not k.startswith(("ESXI_", "VCENTER_"))}
        self.process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**env, **environment},
            cwd=self.place.name,
        )
        self.id = 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.place.cleanup()

    def send(self, message):
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def line(self):
        """The next answer, as it came; notifications are passed over."""
        while True:
            line = self.process.stdout.readline()
            if not line:
                sys.exit(f"{self.process.args[0]} ended without an answer")
            if b'"id"' in line:
                return line

    def begin(self):
        self.send(INITIALIZE)
        self.line()
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def ask(self, method, params):
        self.id += 1
        self.send({"jsonrpc": "2.0", "id": self.id, "method": method, "params": params})
        return self.line()

    def memory(self, what):
        """VmRSS (now) or VmHWM (at most), in MB of 1,000,000 bytes."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        kb = next(line.split()[1] for line in status.splitlines() if line.startswith(what))
        return int(kb) * 1024 / 1e6


def table(head, rows):
    """Right-aligned columns, the first one left."""
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, *rows]:
        cells = [row[0].ljust(widths[0])] + [cell.rjust(w) for cell, w in zip(row[1:], widths[1:])]
        print("  ".join(cells).rstrip(), flush=True)
