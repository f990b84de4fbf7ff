"""A server over HTTP as the judges see it: a process of ours, or an address that somebody else serves."""

import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time

BUILD = pathlib.Path(__file__).resolve().parent / ".build"
NODE = BUILD / "node/node"
MODULES = BUILD / "node/node_modules"


def free_port():
    """One that the system chose and that nobody has at this moment."""
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


class Serving:
    """`{port}` in the command, and MCP_PORT, are the port at which it has to answer within 20 s.

    It is ended by SIGTERM; what it said on both outputs is `said`, and how it ended `code`.
    """

    def __init__(self, command, environment=None, path="/mcp", patience=20):
        self.port = free_port()
        self.command = [str(word).replace("{port}", str(self.port)) for word in command]
        self.environment = {"MCP_HOST": "127.0.0.1", "MCP_PORT": str(self.port), **(environment or {})}
        self.url = f"http://127.0.0.1:{self.port}{path}"
        self.patience = patience
        self.said, self.code = "", None

    def __enter__(self):
        self.place = tempfile.TemporaryDirectory()  # no .env of the caller's
        self.log = open(f"{self.place.name}/log", "w+")
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("ESXI_", "VCENTER_"))}
        self.process = subprocess.Popen(
            self.command,
            env={**inherited, **self.environment},
            cwd=self.place.name,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )
        end = time.monotonic() + self.patience
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                if self.process.poll() is None and time.monotonic() < end:
                    time.sleep(0.05)
                    continue
            ended = self.process.poll()
            self.__exit__()
            why = "does not listen" if ended is None else f"ended with {ended}"
            raise SystemExit(f"{self.command[0]} {why}: {self.said[-2000:].strip()}")

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.code = self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.code = self.process.wait()
        self.log.seek(0)
        self.said = self.log.read()
        self.log.close()
        self.place.cleanup()

    def cpu(self):
        """Seconds of processor that it has used, all threads."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self, what="VmRSS"):
        """VmRSS (now) or VmHWM (at most), in MB of 1,000,000 bytes."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        kb = next(line.split()[1] for line in status.splitlines() if line.startswith(what))
        return int(kb) * 1024 / 1e6
