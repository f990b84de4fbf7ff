"""Logins, sessions, and what is refused without or with the wrong one."""

import http.client
import ssl

from pyVim.connect import SmartStubAdapter
from pyVmomi import SoapStubAdapter, vim, vmodl
from pyVmomi.Security import ThumbprintMismatchException

from sim_checks import both, check, refused, same

IDLE = "Config.HostAgent.vmacore.soap.sessionTimeout"
COUNT = "Config.HostAgent.vmacore.soap.maxSessionCount"


@both("login over TLS with the certificate as authority, and the service content")
def login(server):
    about = server.content.about
    kind = "HostAgent" if server.kind == "esxi" else "VirtualCenter"
    same((about.apiType, about.vendor), (kind, "VMware, Inc."))
    assert about.apiVersion.startswith("8.0"), about.apiVersion
    assert about.fullName.startswith("VMware "), about.fullName
    same(bool(about.instanceUuid), server.kind == "vcenter", "an instance UUID")
    content = server.content
    for name in ("sessionManager", "perfManager", "eventManager", "taskManager", "ovfManager", "fileManager",
                 "guestOperationsManager", "searchIndex", "virtualDiskManager", "setting", "viewManager"):  # fmt: skip
        assert getattr(content, name) is not None, f"no {name}"
    same(content.extensionManager is None, server.kind == "esxi", "no extension manager")
    assert abs((server.si.CurrentTime() - server.si.serverClock).total_seconds()) < 60


@check("login with the certificate's fingerprint")
def thumbprint(server):
    def asked(fingerprint):
        # An ordinary context, which does not trust the certificate: only then is the pin looked at.
        stub = SoapStubAdapter("127.0.0.1", server.port, version="vim.version.v8_0_2_0",
                               sslContext=ssl.create_default_context(), thumbprint=fingerprint)  # fmt: skip
        return vim.ServiceInstance("ServiceInstance", stub).RetrieveContent()

    same(asked(server.fingerprint).about.apiType, "HostAgent")
    with refused(ThumbprintMismatchException):
        asked(":".join(["00"] * 32))
    with refused(ssl.SSLCertVerificationError):
        asked(None)


@check("an older API version is spoken where it is asked for")
def version(server):
    stub = SmartStubAdapter(
        host="127.0.0.1", port=server.port, sslContext=server.tls(), preferredApiVersions=["vim.version.version13"]
    )
    si = vim.ServiceInstance("ServiceInstance", stub)
    si.content.sessionManager.Login("root", "secret")
    assert len(si.content.rootFolder.childEntity[0].vmFolder.childEntity) > 5


@both("a wrong name or password is InvalidLogin")
def invalid(server):
    for user, password in ((server.user, "wrong"), ("nobody", "secret"), (server.user, "")):
        with refused(vim.fault.InvalidLogin):
            server.login(user, password)


@both("after logout and without login: NotAuthenticated")
def logged_out(server):
    si = server.login()
    vm = server.all(vim.VirtualMachine)[0]
    vm = vim.VirtualMachine(vm._moId, si._stub)
    assert vm.name
    si.content.sessionManager.Logout()
    with refused(vim.fault.NotAuthenticated):
        vm.PowerOff()
    with refused(vim.fault.NotAuthenticated):
        _ = vm.name
    anonymous = server.anonymous()
    same(anonymous.RetrieveContent().about.vendor, "VMware, Inc.")
    with refused(vim.fault.NotAuthenticated):
        anonymous.RetrieveContent().viewManager.CreateListView([])


@both("a user who may only look may look, and gets NoPermission")
def viewer(server):
    si = server.login("viewer")
    rows, _ = server.properties(si, vim.VirtualMachine, ["name", "runtime.powerState"])
    assert len(rows) >= 10
    vm = vim.VirtualMachine(next(iter(rows)), si._stub)
    for refusal in (lambda: vm.PowerOff(), lambda: vm.Rename("x"), lambda: vm.Destroy(),
                    lambda: vm.CreateSnapshot("x", "", False, False),
                    lambda: vm.Reconfigure(vim.vm.ConfigSpec(memoryMB=64))):  # fmt: skip
        try:
            refusal()
        except vim.fault.NoPermission as fault:
            assert fault.privilegeId.startswith("VirtualMachine."), fault.privilegeId
            same(fault.object._moId, vm._moId)
        else:
            raise AssertionError("the viewer was allowed to change something")
    content, login = si.RetrieveContent(), vim.vm.guest.NamePasswordAuthentication(
        username="root", password="secret", interactiveSession=False
    )
    with refused(vim.fault.NoPermission):
        content.guestOperationsManager.processManager.ListProcessesInGuest(vm, login, None)
    with refused(vim.fault.NoPermission):
        content.fileManager.DeleteFile("[datastore1] web01", vim.Datacenter(server.datacenter._moId, si._stub))
    with refused(vim.fault.NoPermission):
        content.virtualDiskManager.DeleteVirtualDisk("[datastore1] web01/web01.vmdk")
    assert content.perfManager.perfCounter and content.taskManager.recentTask is not None


@both("sessions are listed and can be ended by another")
def listed(server):
    other = server.login("viewer")
    manager = server.content.sessionManager
    own = manager.currentSession
    same(own.userName, server.user)
    rows = {it.key: it for it in manager.sessionList}
    assert own.key in rows and len(rows) == 2, rows.keys()
    key = other.content.sessionManager.currentSession.key
    same((rows[key].userName, rows[key].ipAddress), ("viewer", "127.0.0.1"))
    assert rows[own.key].callCount > 0
    with refused(vim.fault.NotFound):
        manager.Terminate(["52000000-no-such-key"])
    with refused(vmodl.fault.InvalidArgument):
        manager.Terminate([own.key])
    manager.Terminate([key])
    same([it.key for it in manager.sessionList], [own.key])
    with refused(vim.fault.NotAuthenticated):
        other.content.viewManager.CreateListView([])


@check("an idle session ends after the time in the option", options=("--clock", "2026-01-15T08:00:00Z"),
       faults=[{"method": "QueryOptions", "nth": 1, "delay_ms": 61000}])  # fmt: skip
def idle(server):
    setting = server.host.configManager.advancedOption
    setting.UpdateOptions([vim.option.OptionValue(key=IDLE, value=vmodl_long(1))])
    other = server.login("viewer")
    other.content.setting.QueryOptions(IDLE)  # a minute and a second passes
    with refused(vim.fault.NotAuthenticated):
        server.content.viewManager.CreateListView([])


@check("one session too many is refused with 503")
def limit(server):
    setting = server.host.configManager.advancedOption
    setting.UpdateOptions([vim.option.OptionValue(key=COUNT, value=vmodl_long(3))])
    kept = [server.login("viewer") for _ in range(2)]
    try:
        server.login("viewer")
    except http.client.HTTPException as error:
        assert "503" in str(error), error
    else:
        raise AssertionError("a fourth session was given")
    kept[0].content.sessionManager.Logout()
    server.login("viewer")


@check("faults of the envelope: an unknown object, an unknown property, an unknown method")
def faults(server):
    vm = vim.VirtualMachine("4711", server.si._stub)
    try:
        vm.PowerOn()
    except vmodl.fault.ManagedObjectNotFound as fault:
        same(fault.obj._moId, "4711")
    else:
        raise AssertionError("an object was found that is not there")
    with refused(vmodl.fault.ManagedObjectNotFound):
        _ = vm.name
    try:
        server.properties(server.si, vim.VirtualMachine, ["name", "config.hardware.nosuch"])
    except vmodl.query.InvalidProperty as fault:
        same(fault.name, "config.hardware.nosuch")
    else:
        raise AssertionError("a property was found that is not there")
    with refused(vmodl.fault.InvalidRequest, vmodl.fault.MethodNotFound, vmodl.fault.NotSupported):
        vim.VirtualMachine(server.host._moId, server.si._stub).PowerOn()
    with refused(vmodl.fault.InvalidArgument):
        server.content.propertyCollector.ContinueRetrievePropertiesEx("no token")


def vmodl_long(number):
    from pyVmomi.VmomiSupport import long

    return long(number)
