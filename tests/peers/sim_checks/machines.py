"""Machines: create, reconfigure, power, tasks, snapshots, rename, register, destroy."""

import threading
import time

from pyVim.task import WaitForTask
from pyVmomi import vim, vmodl

from sim_checks import both, check, refused, same

Add, Edit, Remove = "add", "edit", "remove"


def device(operation, device, files=None):
    return vim.vm.device.VirtualDeviceSpec(operation=operation, fileOperation=files, device=device)


def disk(key, controller, unit, megabytes, name=""):
    backing = vim.vm.device.VirtualDisk.FlatVer2BackingInfo(
        fileName=name, diskMode="persistent", thinProvisioned=True
    )
    new = vim.vm.device.VirtualDisk(
        key=key, controllerKey=controller, unitNumber=unit, capacityInKB=megabytes << 10, backing=backing
    )
    return device(Add, new, "create")


def card(key, network):
    backing = vim.vm.device.VirtualEthernetCard.NetworkBackingInfo(deviceName=network)
    connectable = vim.vm.device.VirtualDevice.ConnectInfo(
        startConnected=True, allowGuestControl=True, connected=True
    )
    return device(
        Add, vim.vm.device.VirtualVmxnet3(key=key, backing=backing, connectable=connectable, addressType="generated")
    )


def of(vm, kind):
    return [it for it in vm.config.hardware.device if isinstance(it, kind)]


def create(server, name="new01", extra=()):
    """A machine with a controller, a disk and a card, all made at once."""
    controller = vim.vm.device.ParaVirtualSCSIController(key=-101, busNumber=0, sharedBus="noSharing")
    spec = vim.vm.ConfigSpec(
        name=name,
        guestId="debian12_64Guest",
        numCPUs=2,
        memoryMB=2048,
        annotation="made by <pyVmomi> & co",
        files=vim.vm.FileInfo(vmPathName="[datastore1]"),
        extraConfig=[vim.option.OptionValue(key="guestinfo.hello", value="world")],
        deviceChange=[device(Add, controller), disk(-102, -101, 0, 1024), card(-103, "VM Network"), *extra],
    )
    task = server.datacenter.vmFolder.CreateVm(spec, server.all(vim.ResourcePool)[0], None)
    vm = server.wait(task)
    assert isinstance(vm, vim.VirtualMachine), vm
    return vm


@both("a machine is created with its devices")
def created(server):
    vm = create(server)
    same((vm.name, vm.config.guestId, vm.config.hardware.numCPU), ("new01", "debian12_64Guest", 2))
    same(vm.config.annotation, "made by <pyVmomi> & co")
    same(vm.config.files.vmPathName, "[datastore1] new01/new01.vmx")
    same(vm.runtime.powerState, "poweredOff")
    assert "world" in [it.value for it in vm.config.extraConfig if it.key == "guestinfo.hello"]
    (new,) = of(vm, vim.vm.device.VirtualDisk)
    assert new.key > 0 and new.capacityInKB == 1 << 20, new
    same(new.backing.fileName, "[datastore1] new01/new01.vmdk")
    (controller,) = of(vm, vim.vm.device.ParaVirtualSCSIController)
    same((new.controllerKey, controller.device), (controller.key, [new.key]))
    (nic,) = of(vm, vim.vm.device.VirtualVmxnet3)
    assert nic.macAddress.startswith("00:"), nic.macAddress
    same(nic.deviceInfo.label, "Network adapter 1")
    assert vm._moId in [it._moId for it in server.datacenter.vmFolder.childEntity]
    assert vm.config.uuid and vm.config.instanceUuid and vm.config.version.startswith("vmx-")
    with refused(vim.fault.DuplicateName, vim.fault.AlreadyExists):
        create(server)
    with refused(vim.fault.InvalidDatastore, vim.fault.InvalidDatastorePath, vmodl.fault.InvalidArgument):
        spec = vim.vm.ConfigSpec(name="bad", files=vim.vm.FileInfo(vmPathName="[nowhere]"))
        server.wait(server.datacenter.vmFolder.CreateVm(spec, server.all(vim.ResourcePool)[0], None))


@both("reconfigure: processors, memory, notes, extra settings")
def reconfigured(server):
    vm = create(server)
    setting = vim.option.OptionValue
    spec = vim.vm.ConfigSpec(numCPUs=4, memoryMB=4096, annotation="", numCoresPerSocket=2,
                             extraConfig=[setting(key="guestinfo.hello", value=""), setting(key="a.b", value="c")])  # fmt: skip
    version = vm.config.changeVersion
    server.wait(vm.Reconfigure(spec))
    same((vm.config.hardware.numCPU, vm.config.hardware.memoryMB, vm.config.annotation or ""), (4, 4096, ""))
    same((vm.summary.config.numCpu, vm.config.hardware.numCoresPerSocket), (4, 2))
    extra = {it.key: it.value for it in vm.config.extraConfig}
    same((extra.get("a.b"), "guestinfo.hello" in extra), ("c", False))
    assert vm.config.changeVersion != version
    with refused(vim.fault.ConcurrentAccess):
        server.wait(vm.Reconfigure(vim.vm.ConfigSpec(changeVersion=version, memoryMB=64)))
    for wrong in (vim.vm.ConfigSpec(numCPUs=-1), vim.vm.ConfigSpec(memoryMB=3)):
        with refused(vmodl.fault.InvalidArgument, vim.fault.InvalidVmConfig):
            server.wait(vm.Reconfigure(wrong))
    running = server.vm("web01")
    with refused(vim.fault.InvalidPowerState, vim.fault.CpuHotPlugNotSupported):
        server.wait(running.Reconfigure(vim.vm.ConfigSpec(numCPUs=1)))


@both("reconfigure: a disk is added, grown and removed")
def disks(server):
    vm = create(server)
    (controller,) = of(vm, vim.vm.device.ParaVirtualSCSIController)
    server.wait(vm.Reconfigure(vim.vm.ConfigSpec(deviceChange=[disk(-1, controller.key, 1, 2048)])))
    first, second = of(vm, vim.vm.device.VirtualDisk)
    same((second.key, second.unitNumber, second.backing.fileName), (2001, 1, "[datastore1] new01/new01_1.vmdk"))
    second.capacityInKB = 4096 << 10
    second.capacityInBytes = None
    server.wait(vm.Reconfigure(vim.vm.ConfigSpec(deviceChange=[device(Edit, second)])))
    same(of(vm, vim.vm.device.VirtualDisk)[1].capacityInKB, 4096 << 10)
    second.capacityInKB = 1024 << 10
    with refused(vim.fault.InvalidDeviceSpec, vmodl.fault.InvalidArgument, vmodl.fault.NotSupported):
        server.wait(vm.Reconfigure(vim.vm.ConfigSpec(deviceChange=[device(Edit, second)])))
    with refused(vim.fault.InvalidDeviceSpec):
        server.wait(vm.Reconfigure(vim.vm.ConfigSpec(deviceChange=[disk(-1, controller.key, 7, 64)])))
    with refused(vim.fault.InvalidDeviceSpec):
        server.wait(vm.Reconfigure(vim.vm.ConfigSpec(deviceChange=[disk(-1, 4711, 0, 64)])))
    server.wait(vm.Reconfigure(vim.vm.ConfigSpec(deviceChange=[device(Remove, second, "destroy")])))
    same([it.key for it in of(vm, vim.vm.device.VirtualDisk)], [first.key])
    names = [it.path for one in browse(server, "new01") for it in one.file]
    assert "new01.vmdk" in names and "new01_1.vmdk" not in names, names
    # Without `destroy` its file stays, and can be attached again.
    server.wait(vm.Reconfigure(vim.vm.ConfigSpec(deviceChange=[device(Remove, first)])))
    same(of(vm, vim.vm.device.VirtualDisk), [])
    again = disk(-1, controller.key, 0, 0, "[datastore1] new01/new01.vmdk")
    again.fileOperation = None
    server.wait(vm.Reconfigure(vim.vm.ConfigSpec(deviceChange=[again])))
    same(of(vm, vim.vm.device.VirtualDisk)[0].capacityInKB, 1 << 20)


def browse(server, folder):
    store = server.named(vim.Datastore, "datastore1")
    spec = vim.host.DatastoreBrowser.SearchSpec(matchPattern=["*"])
    result = server.wait(store.browser.Search(f"[datastore1] {folder}", spec))
    return [result]


@both("reconfigure: a card and a CD-ROM are added, changed and removed")
def cards(server):
    vm = create(server)
    sata = vim.vm.device.VirtualAHCIController(key=-5, busNumber=0)
    empty = vim.vm.device.VirtualCdrom.RemotePassthroughBackingInfo(deviceName="", exclusive=False)
    drive = vim.vm.device.VirtualCdrom(
        key=-6,
        controllerKey=-5,
        unitNumber=0,
        backing=empty,
        connectable=vim.vm.device.VirtualDevice.ConnectInfo(
            startConnected=False, allowGuestControl=True, connected=False
        ),
    )
    change = [device(Add, sata), device(Add, drive), card(-7, "Lab")]
    server.wait(vm.Reconfigure(vim.vm.ConfigSpec(deviceChange=change)))
    (drive,) = of(vm, vim.vm.device.VirtualCdrom)
    same(len(of(vm, vim.vm.device.VirtualEthernetCard)), 2)
    same(sorted(it.name for it in vm.network), ["Lab", "VM Network"])
    nic = of(vm, vim.vm.device.VirtualEthernetCard)[1]
    nic.backing.deviceName, nic.backing.network = "DMZ", None
    drive.backing = vim.vm.device.VirtualCdrom.IsoBackingInfo(fileName="[datastore1] new01/new01.iso")
    status, _, _ = server.http("PUT", server.folder("datastore1", "new01/new01.iso"), b"\0" * 2048)
    assert status in (200, 201), status
    server.wait(vm.Reconfigure(vim.vm.ConfigSpec(deviceChange=[device(Edit, nic), device(Edit, drive)])))
    same(sorted(it.name for it in vm.network), ["DMZ", "VM Network"])
    same(of(vm, vim.vm.device.VirtualCdrom)[0].backing.fileName, "[datastore1] new01/new01.iso")
    change = [device(Remove, of(vm, vim.vm.device.VirtualCdrom)[0]), device(Remove, nic)]
    server.wait(vm.Reconfigure(vim.vm.ConfigSpec(deviceChange=change)))
    same((len(of(vm, vim.vm.device.VirtualCdrom)), len(of(vm, vim.vm.device.VirtualEthernetCard))), (0, 1))
    with refused(vim.fault.InvalidDeviceSpec):
        server.wait(vm.Reconfigure(vim.vm.ConfigSpec(deviceChange=[device(Remove, nic)])))


@check("a serial port is added, as the console's users do")
def serial(server):
    vm = create(server)
    backing = vim.vm.device.VirtualSerialPort.URIBackingInfo(serviceURI="telnet://:2001", direction="server")
    port = vim.vm.device.VirtualSerialPort(key=-1, backing=backing, yieldOnPoll=True)
    server.wait(vm.Reconfigure(vim.vm.ConfigSpec(deviceChange=[device(Add, port)])))
    (port,) = of(vm, vim.vm.device.VirtualSerialPort)
    same((port.key, port.backing.serviceURI, port.backing.direction), (9000, "telnet://:2001", "server"))


@both("power: on, suspend, reset, off; each only where it can be")
def power(server):
    vm = server.vm("test01")
    with refused(vim.fault.InvalidPowerState):
        server.wait(vm.PowerOff())
    for call, state in ((vm.PowerOn, "poweredOn"), (vm.Suspend, "suspended"), (vm.PowerOn, "poweredOn"),
                        (vm.Reset, "poweredOn"), (vm.PowerOff, "poweredOff")):  # fmt: skip
        server.wait(call())
        same(vm.runtime.powerState, state)
    server.wait(vm.PowerOn())
    try:
        server.wait(vm.PowerOn())
    except vim.fault.InvalidPowerState as fault:
        same((fault.requestedState, fault.existingState), ("poweredOn", "poweredOn"))
    else:
        raise AssertionError("it was powered on twice")
    assert vm.runtime.bootTime is not None
    with refused(vim.fault.ToolsUnavailable):
        server.vm("edge01").ShutdownGuest()
    guest = server.vm("web01")
    guest.ShutdownGuest()
    until = time.monotonic() + 20
    while guest.runtime.powerState != "poweredOff" and time.monotonic() < until:
        time.sleep(0.2)
    same(guest.runtime.powerState, "poweredOff")


@check("a question is answered")
def question(server):
    vm = server.vm("kiosk01")
    asked = vm.runtime.question
    assert asked and asked.text and asked.choice.choiceInfo, asked
    with refused(vmodl.fault.InvalidArgument, vim.fault.InvalidState):
        vm.AnswerVM("wrong", "0")
    vm.AnswerVM(asked.id, asked.choice.choiceInfo[0].key)
    same(vm.runtime.question, None)


@both("a task shows its progress, by pyVim's own wait too")
def progress(server):
    vm = server.vm("web01")
    seen = []
    server.wait(vm.CreateSnapshot("one", "", True, False), seen)
    assert seen and seen == sorted(seen) and seen[0] < 100, seen
    task = vm.PowerOff()
    info = task.info
    same((info.state in ("queued", "running", "success"), info.entity._moId), (True, vm._moId))
    assert info.entityName == "web01" and info.descriptionId.startswith("VirtualMachine."), info
    same(WaitForTask(task, si=server.si), "success")
    info = task.info
    assert info.startTime <= info.completeTime and info.key in task._moId, info
    same(info.reason.userName, server.user)
    recent = server.content.taskManager.recentTask
    assert task._moId in [it._moId for it in recent], recent
    with refused(vim.fault.InvalidPowerState):
        WaitForTask(vm.PowerOff(), si=server.si)


@both("a running task can be cancelled")
def cancelled(server):
    vm = server.vm("web01")
    task = vm.CreateSnapshot("one", "", True, False)
    assert task.info.cancelable, task.info
    task.Cancel()
    with refused(vmodl.fault.RequestCanceled):
        server.wait(task)
    same(vm.snapshot, None)
    done = vm.CreateSnapshot("two", "", False, False)
    server.wait(done)
    with refused(vim.fault.InvalidState, vmodl.fault.NotSupported):
        done.Cancel()


@both("snapshots: create, rename, revert, remove one and all")
def snapshots(server):
    vm = create(server)
    same(vm.snapshot, None)
    first = server.wait(vm.CreateSnapshot("first", "the <first>", False, False))
    assert isinstance(first, vim.vm.Snapshot), first
    server.wait(vm.Reconfigure(vim.vm.ConfigSpec(memoryMB=4096)))
    second = server.wait(vm.CreateSnapshot("second", "", False, False))
    (root,) = vm.snapshot.rootSnapshotList
    same((root.name, root.description, root.state), ("first", "the <first>", "poweredOff"))
    same([it.name for it in root.childSnapshotList], ["second"])
    same(vm.snapshot.currentSnapshot._moId, second._moId)
    same((first.config.hardware.memoryMB, second.config.hardware.memoryMB), (2048, 4096))
    assert root.vm._moId == vm._moId and root.id != root.childSnapshotList[0].id
    same(len(vm.rootSnapshot), 1)
    first.Rename("renamed", "now")
    same(vm.snapshot.rootSnapshotList[0].name, "renamed")
    server.wait(first.Revert())
    same(vm.config.hardware.memoryMB, 2048)
    same(vm.snapshot.currentSnapshot._moId, first._moId)
    third = server.wait(vm.CreateSnapshot("third", "", False, False))
    same(sorted(it.name for it in vm.snapshot.rootSnapshotList[0].childSnapshotList), ["second", "third"])
    server.wait(vm.RevertToCurrentSnapshot())
    server.wait(first.Remove(False))
    same(sorted(it.name for it in vm.snapshot.rootSnapshotList), ["second", "third"])
    same(vm.snapshot.currentSnapshot._moId, third._moId)
    with refused(vmodl.fault.ManagedObjectNotFound):
        first.Rename("gone", "")
    server.wait(vm.RemoveAllSnapshots())
    same(vm.snapshot, None)
    with refused(vim.fault.NotFound):
        server.wait(vm.RevertToCurrentSnapshot())
    one = server.wait(vm.CreateSnapshot("a", "", False, False))
    server.wait(vm.CreateSnapshot("b", "", False, False))
    server.wait(one.Remove(True))
    same(vm.snapshot, None)


@both("a snapshot with memory brings the power state back")
def memory(server):
    vm = server.vm("web01")
    snapshot = server.wait(vm.CreateSnapshot("running", "", True, False))
    same(vm.snapshot.rootSnapshotList[0].state, "poweredOn")
    server.wait(vm.PowerOff())
    server.wait(snapshot.Revert())
    same(vm.runtime.powerState, "poweredOn")
    plain = server.wait(vm.CreateSnapshot("disk only", "", False, False))
    server.wait(plain.Revert())
    same(vm.runtime.powerState, "poweredOff")


@both("rename, with characters that are escaped; destroy takes the files along")
def renamed(server):
    vm = create(server)
    server.wait(vm.Rename("a/b%c & <d>"))
    same(vm.name, "a%2fb%25c & <d>")
    server.wait(vm.Rename("new02"))
    same((vm.name, vm.config.name, vm.summary.config.name), ("new02",) * 3)
    with refused(vim.fault.InvalidPowerState, vim.fault.InvalidState):
        server.wait(server.vm("web01").Destroy())
    server.wait(vm.Destroy())
    with refused(vmodl.fault.ManagedObjectNotFound):
        _ = vm.name
    with refused(vim.fault.FileNotFound):
        browse(server, "new01")


@both("unregister leaves the files, register finds them")
def registered(server):
    vm = create(server)
    server.wait(vm.Rename("other"))
    with refused(vim.fault.InvalidPowerState):
        server.vm("web01").Unregister()
    vm.Unregister()
    with refused(vmodl.fault.ManagedObjectNotFound):
        _ = vm.name
    pool, folder = server.all(vim.ResourcePool)[0], server.datacenter.vmFolder
    again = server.wait(folder.RegisterVm("[datastore1] new01/new01.vmx", None, False, pool, None))
    same((again.name, again.config.hardware.memoryMB), ("other", 2048))
    same(len(of(again, vim.vm.device.VirtualDisk)), 1)
    with refused(vim.fault.AlreadyExists):
        server.wait(folder.RegisterVm("[datastore1] new01/new01.vmx", None, False, pool, None))
    with refused(vim.fault.NotFound, vim.fault.FileNotFound):
        server.wait(folder.RegisterVm("[datastore1] no/no.vmx", None, False, pool, None))


@both("two changes of one machine at once are not both done")
def busy(server):
    vm = server.vm("web01")
    first = vm.CreateSnapshot("one", "", True, False)
    with refused(vim.fault.TaskInProgress, vim.fault.InvalidState):
        server.wait(vm.CreateSnapshot("two", "", True, False))
    server.wait(first)
    same(len(vm.snapshot.rootSnapshotList), 1)


@check("many clients at once do not disturb each other")
def crowd(server):
    wrong = []

    def turns(si, number):
        vm = vim.VirtualMachine(target._moId, si._stub)
        for turn in range(5):
            try:
                WaitForTask(vm.Rename(f"name-{number}-{turn}"), si=si)
            except vim.fault.TaskInProgress:
                continue
            assert vm.name.startswith("name-"), vm.name

    def one(number):
        try:
            si = server.login()
            turns(si, number)
            si.content.sessionManager.Logout()
        except Exception as error:
            wrong.append(f"{type(error).__name__} {error}")

    target = server.vm("test01")
    threads = [threading.Thread(target=one, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    same(wrong, [])
    same(len(server.content.sessionManager.sessionList), 1)
