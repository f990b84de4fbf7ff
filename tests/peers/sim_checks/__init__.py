"""What the checks by pyVmomi share: a simulated server for each check, logins, waits, plain HTTP."""

import contextlib
import http.client
import json
import pathlib
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

from pyVim.connect import SmartConnect
from pyVmomi import SoapStubAdapter, vim, vmodl

PC = vmodl.query.PropertyCollector
CHECKS = []
PATIENCE = 30  # seconds that anything may take


def check(name, kind="esxi", faults=None, options=()):
    """Makes a function a check; it gets a simulated server of its own, of that kind."""

    def keep(function):
        CHECKS.append((name, kind, faults, tuple(options), function))
        return function

    return keep


def both(name, **more):
    """The same against an ESXi host and a vCenter."""

    def keep(function):
        check(f"{name} (esxi)", "esxi", **more)(function)
        return check(f"{name} (vcenter)", "vcenter", **more)(function)

    return keep


class Server:
    """One `jumpvisor simulate`, ended at the end of `with`."""

    def __init__(self, binary, kind="esxi", faults=None, options=()):
        self.kind = kind
        self.user = "root" if kind == "esxi" else "administrator@vsphere.local"
        self.directory = tempfile.TemporaryDirectory(prefix="judge-")
        here = pathlib.Path(self.directory.name)
        self.ca = str(here / "cert.pem")
        command = [binary, "simulate", "--kind", kind, "--certificate", self.ca, *options]
        if faults is not None:
            (here / "faults.json").write_text(json.dumps(faults))
            command += ["--faults", str(here / "faults.json")]
        self.stderr = open(here / "stderr", "w+")
        begun = time.monotonic()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.stderr, text=True)
        first, second = self.process.stdout.readline(), self.process.stdout.readline()
        self.started = time.monotonic() - begun
        if not second:
            self.stderr.seek(0)
            raise AssertionError(f"simulate did not start: {first}{self.stderr.read()}")
        self.address, self.fingerprint = first.strip(), second.split()[1]
        self.port = int(self.address.rsplit(":", 1)[1])
        self._si = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)
        self.process.stdout.close()
        self.stderr.close()
        self.directory.cleanup()

    def tls(self):
        return ssl.create_default_context(cafile=self.ca)

    def login(self, user=None, password="secret"):
        """A session of its own."""
        return SmartConnect(
            host="127.0.0.1", port=self.port, user=user or self.user, pwd=password, sslContext=self.tls()
        )

    def anonymous(self):
        """The service instance without a login."""
        stub = SoapStubAdapter("127.0.0.1", self.port, version="vim.version.v8_0_2_0", sslContext=self.tls())
        return vim.ServiceInstance("ServiceInstance", stub)

    @property
    def si(self):
        if self._si is None:
            self._si = self.login()
        return self._si

    @property
    def content(self):
        return self.si.RetrieveContent()

    @property
    def datacenter(self):
        return next(it for it in self.content.rootFolder.childEntity if isinstance(it, vim.Datacenter))

    @property
    def host(self):
        return self.all(vim.HostSystem)[0]

    def all(self, kind):
        """All objects of a type, by a container view."""
        view = self.content.viewManager.CreateContainerView(self.content.rootFolder, [kind], True)
        try:
            return list(view.view)
        finally:
            view.Destroy()

    def named(self, kind, name):
        return next(it for it in self.all(kind) if it.name == name)

    def vm(self, name):
        return self.named(vim.VirtualMachine, name)

    def cookie(self, si=None):
        """The session's cookie, as a client sends it."""
        return (si or self.si)._stub.cookie.split(";")[0]

    def http(self, method, target, body=None, headers=None, cookie=True, si=None):
        """One request beside /sdk; answers the status, the headers and the body."""
        parts = urllib.parse.urlsplit(target)
        if parts.netloc:
            same(parts.netloc, f"127.0.0.1:{self.port}", "the address that it names")
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=self.tls(), timeout=PATIENCE)
        with contextlib.closing(connection):
            sent = dict(headers or {})
            if cookie:
                sent["Cookie"] = self.cookie(si)
            connection.request(method, path, body=body, headers=sent)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()

    def folder(self, store, path):
        """The address of a file on a datastore."""
        query = urllib.parse.urlencode({"dcPath": self.datacenter.name, "dsName": store})
        return f"/folder/{urllib.parse.quote(path)}?{query}"

    def wait(self, task, progress=None):
        """Waits by WaitForUpdatesEx; answers the result, raises what the task ended with."""
        pc = self.content.propertyCollector.CreatePropertyCollector()
        stub = task._stub
        pc = type(pc)(pc._moId, stub)
        spec = PC.FilterSpec(
            objectSet=[PC.ObjectSpec(obj=task)],
            propSet=[PC.PropertySpec(type=vim.Task, pathSet=["info.state", "info.progress"])],
        )
        pc.CreateFilter(spec, True)
        version, seen, until = "", {}, time.monotonic() + PATIENCE
        while time.monotonic() < until:
            update = pc.WaitForUpdatesEx(version, PC.WaitOptions(maxWaitSeconds=5))
            if update is None:
                continue
            version = update.version
            for change in (it for filters in update.filterSet for o in filters.objectSet for it in o.changeSet):
                seen[change.name] = change.val
                if progress is not None and change.name == "info.progress" and change.val is not None:
                    progress.append(change.val)
            if seen.get("info.state") in ("success", "error"):
                break
        else:
            raise AssertionError(f"{task.info.descriptionId} did not end in {PATIENCE} s: {seen}")
        pc.Destroy()
        info = task.info
        if info.state == "error":
            raise info.error
        return info.result

    def properties(self, si, kind, paths, size=None):
        """Name by name what RetrievePropertiesEx and its pages say of all objects of a type."""
        content = si.RetrieveContent()
        view = content.viewManager.CreateContainerView(content.rootFolder, [kind], True)
        walk = PC.TraversalSpec(name="view", type=vim.view.ContainerView, path="view", skip=False)
        spec = PC.FilterSpec(
            objectSet=[PC.ObjectSpec(obj=view, skip=True, selectSet=[walk])],
            propSet=[PC.PropertySpec(type=kind, pathSet=paths)],
        )
        pages, rows = 1, {}
        page = content.propertyCollector.RetrievePropertiesEx([spec], PC.RetrieveOptions(maxObjects=size))
        while page is not None:
            for one in page.objects:
                rows[one.obj._moId] = {it.name: it.val for it in one.propSet}
            if not page.token:
                break
            page = content.propertyCollector.ContinueRetrievePropertiesEx(page.token)
            pages += 1
        view.Destroy()
        return rows, pages


@contextlib.contextmanager
def refused(*faults):
    """What is inside must be refused with one of these faults."""
    try:
        yield
    except faults:
        return
    except Exception as error:
        said = getattr(error, "msg", "") or error
        raise AssertionError(f"{type(error).__name__} instead of {names(faults)}: {said}") from error
    raise AssertionError(f"nothing was refused, where {names(faults)} should be")


def names(faults):
    return " or ".join(it.__name__ for it in faults)


def same(found, wanted, what="value"):
    assert found == wanted, f"{what}: {found!r} instead of {wanted!r}"


def run(binary, only, jobs):
    """Runs the checks whose name contains `only`; a line for each that failed. How many failed."""
    todo = [it for it in CHECKS if only in it[0]]
    lock, failed, slow = threading.Lock(), [], []

    def one():
        while True:
            with lock:
                if not todo:
                    return
                name, kind, faults, options, function = todo.pop(0)
            begun = time.monotonic()
            try:
                with Server(binary, kind, faults, options) as server:
                    function(server)
            except Exception as error:
                with lock:
                    failed.append(name)
                    print(f"FAIL  {name}: {told(error)}", flush=True)
            with lock:
                slow.append((time.monotonic() - begun, name))

    count, begun = len(todo), time.monotonic()
    threads = [threading.Thread(target=one) for _ in range(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    longest = max(slow, default=(0, "none"))
    print(
        f"pyVmomi: {count - len(failed)} passed, {len(failed)} failed in {time.monotonic() - begun:.1f} s"
        f" (longest: {longest[1]}, {longest[0]:.1f} s)"
    )
    return len(failed)


def told(error):
    """An error in one line, with the line of the check that met it."""
    trace, line = error.__traceback__, "?"
    while trace is not None:
        file = pathlib.Path(trace.tb_frame.f_code.co_filename)
        if file.parent == pathlib.Path(__file__).parent and file.name != "__init__.py":
            line = f"{file.name}:{trace.tb_lineno}"
        trace = trace.tb_next
    said = getattr(error, "msg", None) or str(error)
    said = " ".join(str(said).split())[:300]
    return f"{line} {type(error).__name__} {said}"


if sys.version_info < (3, 9):
    raise SystemExit("this needs Python 3.9")
