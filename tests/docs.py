#!/usr/bin/env python3
"""Runs every command that the Markdown files at the top level show in a ```sh block, in order.

    tests/docs.py [BINARY]          (default: target/debug/jumpvisor)

They run in a sandbox: a home of its own, this repository linked into it as the working directory,
BINARY on the PATH and where the musl build would put it, a simulated ESXi whose VMs are web01 and
db01, and an sshd of our own as the hosts `jump` and `build`, whose home is a folder of the sandbox. What
is not run literally:

- 10.0.0.11, the README's ESXi, becomes the simulator's address;
- blocks with appliances or consoles go to `jumpvisor simulate` instead, since the public simulator takes no
  SATA and has no serial lines;
- the ports 8080 and 2001 become free ones;
- /srv/exchange is a folder of the sandbox, which https://files.example.com serves too (over plain http,
  as 127.0.0.1); appliance.ova is an export of ours, there and in the home of `build`;
- `ssh` and `scp` are given `-F` with the sandbox's configuration, since they do not heed HOME;
- the first `check` has to fail and show the host's fingerprint, which then goes into the env file, as
  the text below the block says; then it has to pass;
- `cargo run -- demo` is BINARY's demo on a terminal of its own, where Enter is pressed to its end;
- `jumpvisor simulate` has to print its address and fingerprint, answer, and end when it is told to;
- lines of ELSEWHERE are run by .ci/run, packaging/build and tests/run: it is held that those have them;
- a block after `<!-- not run: reason -->` is left out and listed. The set-up commands among them are
  run from `--` on, which is what an MCP client would do, and have to answer.

A line for each check, then `N passed, M failed`.
"""

import contextlib
import functools
import http.server
import json
import os
import pathlib
import pty
import pwd
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/peers"))
import peer  # noqa: E402

MUSL = "x86_64-unknown-linux-musl"
ELSEWHERE = ("bash tests/", "rustup target add ", "cargo build ")
SETUP = [
    "claude mcp add esx -- jumpvisor --config ~/esx.env",
    "claude mcp add esx -- ssh jump ./jumpvisor --config esx.env",
]
COPY = "scp -p ~/esx.env jump:"  # in the text, for the second set-up command
FINGERPRINT = re.compile(r"\b(?:[0-9A-F]{2}:){31}[0-9A-F]{2}\b")
MESSAGES = [
    {"id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "docs", "version": "1"}}},
    {"method": "notifications/initialized"},
    {"id": 2, "method": "tools/list"},
    {"id": 3, "method": "tools/call", "params": {"name": "list_vms", "arguments": {}}},
]  # fmt: skip

passed = failed = 0


def check(what, good, said=""):
    global passed, failed
    if good:
        passed += 1
        print(f"ok    {what}", flush=True)
    else:
        failed += 1
        print(f"FAIL  {what}\n      {said.strip()[-1500:]}", flush=True)
    return good


def blocks(path):
    """Each ```sh block: its first line's number, its lines, and why it is not run (or None)."""
    lines = path.read_text().splitlines()
    inside, last, found = None, "", []
    for number, line in enumerate(lines, 1):
        if inside is not None:
            if line.startswith("```"):
                found.append(inside)
                inside = None
            else:
                inside[1].append(line)
        elif line.startswith("```sh"):
            skip = re.fullmatch(r"<!-- not run: (.+) -->", last)
            inside = (number + 1, [], skip and skip[1])
        if line.strip():
            last = line.strip()
    return found


def commands(start, lines):
    """The block's commands, each with its line number; a here-document or `\\` makes one of several lines."""
    found, end = [], None
    for number, line in enumerate(lines, start):
        if end is not None or (found and found[-1][1].endswith("\\")):
            found[-1][1] += "\n" + line
            end = None if line == end else end
        elif line.strip() and not line.startswith("#"):
            found.append([number, line])
            here = re.search(r"<<'?(\w+)'?", line)
            end = here and here[1]
    return found


class Sandbox:
    def __init__(self, root, binary, address):
        self.root, self.meant, self.appliances = root, [("10.0.0.11", address)], ""
        for port in ("8080", "2001"):
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                self.meant.append((port, str(free.getsockname()[1])))
        self.home, self.jump, bin = root / "home", root / "jump", root / "bin"
        self.work = self.home / "jumpvisor"
        built = self.work / "target" / MUSL / "release"
        for folder in (self.jump, bin, built):
            folder.mkdir(parents=True)
        for name in os.listdir(ROOT):
            if name not in ("target", ".git"):
                (self.work / name).symlink_to(ROOT / name)
        (built / "jumpvisor").symlink_to(binary)
        (bin / "jumpvisor").symlink_to(binary)
        for tool in ("ssh", "scp"):
            real = shutil.which(tool) or sys.exit(f"tests/docs.py: {tool} is missing: run tests/peers/install")
            (bin / tool).write_text(f'#!/bin/sh\nexec {real} -F {shlex.quote(str(root / "ssh_config"))} "$@"\n')
            (bin / tool).chmod(0o755)
        self.environment = {"HOME": str(self.home), "PATH": f"{bin}:/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}

    def run(self, script, **more):
        return subprocess.run(
            ["bash", "-c", script], cwd=self.work, env=self.environment, text=True, timeout=120,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more,
        )  # fmt: skip

    def run_block(self, shown):
        """Runs commands in one shell; status and output of each."""
        out = self.root / "out"
        ours = any(word in it for it in shown for word in ("_ov", "console"))
        script = self.appliances if ours else ""
        for at, command in enumerate(shown):
            for said, meant in self.meant:
                command = command.replace(said, meant)
            script += f"{{\n{command}\n}} >{out}.{at} 2>&1 </dev/null; echo $? >{out}.{at}.status\n"
        self.run(script)
        read = lambda name: pathlib.Path(f"{out}.{name}").read_text() if os.path.exists(f"{out}.{name}") else ""
        return [(int(read(f"{at}.status") or "-1"), read(at)) for at in range(len(shown))]

    @contextlib.contextmanager
    def exchange(self, binary):
        """A folder with an appliance, a web server before it, and a simulated host of our own."""
        folder = self.root / "exchange"
        folder.mkdir()
        made = [binary, "--demo", "call", "export_vm_ovf", "vm_name=test01", "target_path=appliance.ova"]
        subprocess.run(made, cwd=folder, env={}, check=True, stdout=subprocess.DEVNULL)
        shutil.copy(folder / "appliance.ova", self.jump)
        (folder / "tools.iso").write_bytes(bytes(range(256)) * 300)
        handler = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
        web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(folder)))
        threading.Thread(target=web.serve_forever, daemon=True).start()
        host = subprocess.Popen([binary, "simulate"], env={}, text=True, stdout=subprocess.PIPE)
        try:
            address, second = host.stdout.readline().strip(), host.stdout.readline()
            self.appliances = f"export ESXI_HOST={address} ESXI_USER=root ESXI_PASS=secret ESXI_FINGERPRINT={FINGERPRINT.search(second)[0]}\n"
            self.meant += [
                ("/srv/exchange", str(folder)),
                ("https://files.example.com", f"http://127.0.0.1:{web.server_port}"),
                ("files.example.com", "127.0.0.1"),
            ]
            yield
        finally:
            host.terminate()
            host.wait(10)
            web.shutdown()

    @contextlib.contextmanager
    def sshd(self):
        """An sshd of this user's, whose sessions live in `jump`."""
        root, sshd = self.root, "/usr/sbin/sshd"
        servers = [f"/usr/lib/{at}/sftp-server" for at in ("openssh", "ssh")] + ["/usr/libexec/openssh/sftp-server"]
        sftp = next(filter(os.path.exists, servers), None)
        if not os.path.exists(sshd) or not sftp:
            sys.exit("tests/docs.py: sshd is missing: run tests/peers/install")
        for key in ("host_key", "key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", root / key], check=True)
        shutil.copy(root / "key.pub", root / "authorized_keys")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        kind, public = (root / "host_key.pub").read_text().split()[:2]
        (root / "known_hosts").write_text(f"[127.0.0.1]:{port} {kind} {public}\n")
        (root / "session").write_text(
            f'#!/bin/sh\ncd {self.jump} || exit 1\nHOME=$PWD\nexport HOME\nexec /bin/sh -c "$SSH_ORIGINAL_COMMAND"\n'
        )
        (root / "session").chmod(0o755)
        user = pwd.getpwuid(os.getuid()).pw_name
        (root / "ssh_config").write_text(
            f"Host jump build\nHostName 127.0.0.1\nPort {port}\nUser {user}\nIdentityFile {root}/key\nIdentitiesOnly yes\n"
            f"UserKnownHostsFile {root}/known_hosts\nGlobalKnownHostsFile /dev/null\nBatchMode yes\n"
        )
        (root / "sshd_config").write_text(
            f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {root}/host_key\nAuthorizedKeysFile {root}/authorized_keys\n"
            "PidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
            f"PermitRootLogin prohibit-password\nSubsystem sftp {sftp}\nForceCommand {root}/session\n"
        )
        # As root it wants an empty folder, which the system service would make.
        separation = pathlib.Path("/run/sshd")
        made = os.getuid() == 0 and not separation.exists()
        if made:
            separation.mkdir(mode=0o755)
        with open(root / "sshd.log", "w") as log:
            process = subprocess.Popen([sshd, "-D", "-e", "-f", root / "sshd_config"], stderr=log, stdin=subprocess.DEVNULL)
        try:
            for _ in range(100):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                if process.poll() is not None:
                    sys.exit(f"tests/docs.py: sshd did not start: {(root / 'sshd.log').read_text()}")
                time.sleep(0.05)
            yield
        finally:
            process.terminate()
            process.wait(10)
            if made:
                separation.rmdir()


def elsewhere(where, command):
    """The command is in the scripts that CI runs."""
    scripts = "".join((ROOT / name).read_text() for name in (".ci/run", "packaging/build", "tests/run"))
    scripts = re.sub(r"\$(musl|target)\b", MUSL, scripts).replace(" --locked", "")
    wanted = command.removeprefix("bash ")
    there = any(wanted in line.split("#")[0] for line in scripts.splitlines())
    check(f"{where}: {command}: is in .ci/run, packaging/build or tests/run", there, "none has it")


def fingerprint(sandbox, where, command, status, said):
    """The first `check`: fails, shows the fingerprint, and passes once that is in the file."""
    shown = FINGERPRINT.search(said)
    if not check(f"{where}: {command}: shows the host's fingerprint", status == 1 and shown, f"status {status}: {said}"):
        return
    with open(sandbox.home / "esx.env", "a") as file:
        file.write(f"ESXI_FINGERPRINT={shown[0]}\n")
    done = sandbox.run(command)
    check(f"{where}: {command}: passes with ESXI_FINGERPRINT", done.returncode == 0, done.stdout)


def tour(sandbox, where, command):
    """The guided tour, with somebody who presses Enter."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(sandbox.work)
        os.execve(sandbox.root / "bin/jumpvisor", ["jumpvisor", *command.split(" -- ")[1].split()], sandbox.environment)
    said = b""
    with contextlib.suppress(OSError):
        while piece := os.read(terminal, 4096):
            said += piece
            if said.endswith((b"q ends)\r\n", b"q ends)")):
                os.write(terminal, b"\n")
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(terminal)
    text = said.decode(errors="replace")
    steps = re.findall(r"\[(\d+)/(\d+)\]", text)
    good = status == 0 and len(steps) > 5 and steps[-1][0] == steps[-1][1] and "mcpServers" in text
    check(f"{where}: {command}: a tour to its end on a terminal", good, f"status {status}: {text}")


def simulate(sandbox, where, command):
    """A simulated server: its first two lines, an answer, and its end."""
    with subprocess.Popen(
        ["bash", "-c", "exec " + command], cwd=sandbox.work, env=sandbox.environment, text=True, stdout=subprocess.PIPE
    ) as server:
        address, second = server.stdout.readline().strip(), server.stdout.readline().strip()
        shown = FINGERPRINT.search(second)
        kind = "VCENTER" if "vcenter" in command else "ESXI"
        word = "PASSWORD" if kind == "VCENTER" else "PASS"
        ours = {f"{kind}_HOST": address, f"{kind}_USER": "root", f"{kind}_{word}": "secret", f"{kind}_FINGERPRINT": shown[0] if shown else ""}
        # The working directory has an env file for another server by now.
        done = subprocess.run(
            [sandbox.root / "bin/jumpvisor", "call", "list_vms", "limit=1"], cwd=sandbox.root, text=True,
            env={**sandbox.environment, **ours}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        server.terminate()
        ended = server.wait(10)
    good = address.startswith("https://127.0.0.1:") and done.returncode == 0 and "1 to 1 of" in done.stdout and ended == 0
    check(f"{where}: {command}", good, f"{address} {second} {done.stdout} {ended}")


def run_file(sandbox, path):
    first_check = True
    for start, lines, skip in blocks(path):
        if skip:
            print(f"skip  {path.name}:{start}: {len(lines)} lines: {skip}", flush=True)
            continue
        shown, later = [], []
        for number, command in commands(start, lines):
            where = f"{path.name}:{number}"
            if command.startswith("cargo run -- "):
                tour(sandbox, where, command)
            elif command.startswith(ELSEWHERE):
                elsewhere(where, command)
            elif command.startswith("jumpvisor simulate"):
                later.append((where, command))
            else:
                shown.append((number, command))
        for (number, command), (status, said) in zip(shown, sandbox.run_block([it for _, it in shown])):
            where, line = f"{path.name}:{number}", command.splitlines()[0]
            if first_check and command.endswith(" check"):
                first_check = False
                fingerprint(sandbox, where, command, status, said)
            else:
                check(f"{where}: {line}", status == 0, f"status {status}: {said}")
        for where, command in later:
            simulate(sandbox, where, command)


def mcp(sandbox, command):
    """What an MCP client does with a set-up command."""
    lines = "".join(json.dumps({"jsonrpc": "2.0", **message}) + "\n" for message in MESSAGES)
    done = sandbox.run(command + " 2>/dev/null", input=lines)
    try:
        answers = {answer["id"]: answer["result"] for answer in map(json.loads, done.stdout.splitlines())}
        tools = [tool["name"] for tool in answers[2]["tools"]]
        good = answers[1]["serverInfo"]["name"] == "jumpvisor" and "list_vms" in tools
        good = good and "web01" in json.dumps(answers[3])
    except (ValueError, KeyError, TypeError):
        good = False
    check(f"over MCP: {command}", good and done.returncode == 0, f"status {done.returncode}: {done.stdout}")


def set_up(sandbox, readme):
    for command in SETUP:
        check(f"the README shows: {command}", f"\n{command}\n" in readme, "it does not")
    check(f"the README says how the file gets there: {COPY}", f"`{COPY}`" in readme, "it does not")
    done = sandbox.run(COPY)
    check(COPY, done.returncode == 0, done.stdout)
    for command in SETUP:
        mcp(sandbox, command.split(" -- ")[1])
    found = re.search(r"```json\n(.*?)```", readme, re.S)
    server = json.loads(found[1])["mcpServers"]["esx"] if found else {}
    same = [server.get("command"), *server.get("args", [])] == shlex.split(SETUP[1].split(" -- ")[1])
    check("the JSON form is the same command", same, str(server))


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    binary = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "target/debug/jumpvisor").resolve()
    if not binary.exists():
        sys.exit(f"tests/docs.py: {binary} is missing: run cargo build")
    with tempfile.TemporaryDirectory() as folder, peer.Simulator("esx", "-password", "secret") as simulator:
        address = simulator.url.removeprefix("https://").removesuffix("/sdk")
        sandbox = Sandbox(pathlib.Path(folder), binary, address)
        ours = {**simulator.environment(), "ESXI_PASS": "secret"}
        listed = subprocess.run([binary, "call", "list_vms", "--json"], env=ours, cwd=folder, capture_output=True, text=True)
        for vm, name in zip(json.loads(listed.stdout)["vms"], ("web01", "db01"), strict=True):
            rename = ["call", "rename_vm", f"name={vm['id']}", f"new_name={name}"]
            subprocess.run([binary, *rename], env=ours, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        with sandbox.sshd(), sandbox.exchange(binary):
            readme = ROOT / "README.md"
            others = sorted(it for it in ROOT.glob("*.md") if it != readme)
            for path in (readme, *others):
                run_file(sandbox, path)
            off = sandbox.run("jumpvisor call list_vms power_state=off").stdout
            check("the VMs that the README names are off now", "web01" in off and "db01" in off, off)
            set_up(sandbox, readme.read_text())
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
