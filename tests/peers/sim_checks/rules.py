"""What `--faults` promises: each kind of rule, as a client meets it."""

import http.client
import time

from pyVmomi import vim, vmodl

from sim_checks import check, refused, same


@check("a rule's fault comes at the call that it names, once",
       faults=[{"method": "PowerOnVM_Task", "object": "test01", "nth": 2, "fault": "NotEnoughLicenses",
                "text": "No licences left."}])  # fmt: skip
def nth(server):
    vm = server.vm("test01")
    server.wait(vm.PowerOn())
    server.wait(vm.PowerOff())
    try:
        vm.PowerOn()
    except vmodl.fault.NotEnoughLicenses as fault:
        same(fault.msg, "No licences left.")
    else:
        raise AssertionError("the second call was not refused")
    server.wait(vm.PowerOn())
    server.wait(server.vm("files01").PowerOn())


@check("a rule's fault ends a task", faults=[{"method": "Rename_Task", "fault": "DuplicateName", "in_task": True}])
def in_task(server):
    vm = server.vm("test01")
    task = vm.Rename("x")
    with refused(vim.fault.DuplicateName):
        server.wait(task)
    same((vm.name, task.info.state), ("test01", "error"))


@check("a rule's delay makes the answer late", faults=[{"method": "CurrentTime", "nth": 1, "delay_ms": 700}])
def delay(server):
    si = server.si
    begun = time.monotonic()
    si.CurrentTime()
    assert 0.65 < time.monotonic() - begun < 5, time.monotonic() - begun
    begun = time.monotonic()
    si.CurrentTime()
    assert time.monotonic() - begun < 0.6


@check("a rule drops the connection in the middle of an answer", faults=[{"method": "QueryOptions", "nth": 1, "drop": 200}])
def drop(server):
    setting = server.content.setting
    with refused(http.client.HTTPException, ConnectionError, OSError, vmodl.fault.HostCommunication, Exception):
        setting.QueryOptions("Config.HostAgent.log.level")
    same(server.si.CurrentTime() is not None, True)
    same(setting.QueryOptions("Config.HostAgent.log.level")[0].value, "info")


@check("a rule ends the caller's session", faults=[{"method": "Rename_Task", "nth": 1, "expire_session": True}])
def expire(server):
    vm = server.vm("test01")
    with refused(vim.fault.NotAuthenticated):
        vm.Rename("x")
    si = server.login()
    same(vim.VirtualMachine(vm._moId, si._stub).name, "test01")


@check("a rule makes an answer of 50 MB", faults=[{"method": "CurrentTime", "nth": 1, "answer_bytes": 50_000_000}])
def large(server):
    assert server.si.CurrentTime() is not None
    assert server.si.CurrentTime() is not None


@check("a rule answers an HTTP status", faults=[{"method": "CurrentTime", "nth": 1, "status": 503},
                                                {"path": "/folder*", "nth": 1, "status": 502}])  # fmt: skip
def status(server):
    si = server.si
    try:
        si.CurrentTime()
    except http.client.HTTPException as error:
        assert "503" in str(error), error
    else:
        raise AssertionError("the rule did not strike")
    si.CurrentTime()
    same(server.http("GET", server.folder("datastore1", "web01/web01.vmx"))[0], 502)
    same(server.http("GET", server.folder("datastore1", "web01/web01.vmx"))[0], 200)


@check("a rule cuts an upload short", faults=[{"path": "/folder/*", "nth": 1, "truncate": 1000}])
def truncate(server):
    path = server.folder("datastore1", "cut.bin")
    with refused(http.client.HTTPException, ConnectionError, OSError):
        server.http("PUT", path, b"x" * 5_000_000)
    assert server.http("GET", path)[0] == 404
    assert server.http("PUT", path, b"x" * 5000)[0] in (200, 201)
    same(len(server.http("GET", path)[2]), 5000)


@check("a rule by chance strikes some calls", faults=[{"method": "CurrentTime", "chance": 0.5, "fault": "HostCommunication"}])
def chance(server):
    struck = 0
    for _ in range(60):
        try:
            server.si.CurrentTime()
        except vmodl.fault.HostCommunication:
            struck += 1
    assert 10 < struck < 50, struck


@check("a rule by `every` strikes each third call", faults=[{"method": "CurrentTime", "every": 3, "fault": "HostCommunication"}])
def every(server):
    struck = []
    for number in range(1, 10):
        try:
            server.si.CurrentTime()
        except vmodl.fault.HostCommunication:
            struck.append(number)
    same(struck, [3, 6, 9])
