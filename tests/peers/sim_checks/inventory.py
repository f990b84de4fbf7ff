"""Lists: views, the property collector with pages and updates, searches, single properties."""

import threading
import time

from pyVmomi import vim, vmodl

from sim_checks import PC, both, same


@both("all machines by a container view, page by page")
def pages(server):
    whole, count = server.properties(server.si, vim.VirtualMachine, ["name", "runtime.powerState", "config.hardware"])
    same(count, 1, "pages")
    paged, count = server.properties(server.si, vim.VirtualMachine, ["name", "runtime.powerState"], 5)
    assert count == -(-len(whole) // 5), (count, len(whole))
    same({key: it["name"] for key, it in paged.items()}, {key: it["name"] for key, it in whole.items()})
    states = {it["runtime.powerState"] for it in paged.values()}
    same(states, {"poweredOn", "poweredOff", "suspended"})
    hardware = next(it["config.hardware"] for it in whole.values() if it["name"] == "db01")
    same((hardware.numCPU, hardware.memoryMB), (4, 16384))


@both("every property of every object can be read, and is of its type")
def everything(server):
    content = server.content
    for kind in (vim.VirtualMachine, vim.HostSystem, vim.Datastore, vim.Network, vim.ResourcePool, vim.Folder,
                 vim.Datacenter, vim.ComputeResource):  # fmt: skip
        objects = server.all(kind)
        assert objects, f"no {kind.__name__}"
        spec = PC.FilterSpec(
            objectSet=[PC.ObjectSpec(obj=it) for it in objects], propSet=[PC.PropertySpec(type=kind, all=True)]
        )
        page = content.propertyCollector.RetrievePropertiesEx([spec], PC.RetrieveOptions())
        same(len(page.objects), len(objects), kind.__name__)
        for one in page.objects:
            have = {it.name: it.val for it in one.propSet}
            same(have["name"], one.obj.name)
            assert not one.missingSet, one.missingSet
    managers = [getattr(content, name) for name in content._propInfo if name.endswith("Manager")]
    for manager in managers + [content.searchIndex, content.setting]:
        if manager is not None:
            spec = PC.FilterSpec(
                objectSet=[PC.ObjectSpec(obj=manager)], propSet=[PC.PropertySpec(type=type(manager), all=True)]
            )
            page = content.propertyCollector.RetrievePropertiesEx([spec], PC.RetrieveOptions())
            same(page.objects[0].obj._moId, manager._moId)


@both("single properties are fetched when they are looked at")
def lazy(server):
    vm = server.vm("web01")
    same(vm.runtime.powerState, "poweredOn")
    same(vm.config.name, "web01")
    same(vm.summary.config.vmPathName, "[datastore1] web01/web01.vmx")
    same(vm.guest.ipAddress, "10.20.0.11")
    same(vm.summary.guest.toolsRunningStatus, "guestToolsRunning")
    assert vm.runtime.host.name and vm.resourcePool.name and vm.parent.name
    same([it.name for it in vm.datastore], ["datastore1"])
    same([it.name for it in vm.network], ["VM Network"])
    disks = [it for it in vm.config.hardware.device if isinstance(it, vim.vm.device.VirtualDisk)]
    same((disks[0].key, disks[0].capacityInKB), (2000, 40 << 20))
    assert vm._moId in [it._moId for it in vm.runtime.host.vm]
    assert vm._moId in [it._moId for it in vm.resourcePool.vm]
    assert vm._moId in [it._moId for it in vm.datastore[0].vm]
    assert vm._moId in [it._moId for it in vm.network[0].vm]
    same(vm.layoutEx is not None, True, "layoutEx")
    store = vm.datastore[0].summary
    assert store.accessible and 0 < store.freeSpace < store.capacity


@both("the environment browser names the versions of virtual hardware")
def browser(server):
    found = server.vm("web01").environmentBrowser.QueryConfigOptionDescriptor()
    assert found and all(it.key.startswith("vmx-") for it in found), found


@both("machines are found by path, address, UUID and name")
def search(server):
    index, vm = server.content.searchIndex, server.vm("web01")
    found = index.FindByUuid(None, vm.config.uuid, True, False)
    same(found._moId, vm._moId)
    same(index.FindByIp(None, "10.20.0.11", True)._moId, vm._moId)
    same(index.FindByDnsName(None, vm.guest.hostName, True)._moId, vm._moId)
    same(index.FindChild(vm.parent, "web01")._moId, vm._moId)
    same(index.FindByDatastorePath(server.datacenter, "[datastore1] web01/web01.vmx")._moId, vm._moId)
    path, at = vm.name, vm.parent
    while at.parent is not None:
        path, at = f"{at.name}/{path}", at.parent
    same(index.FindByInventoryPath(path)._moId, vm._moId)
    same(index.FindByUuid(None, "00000000-0000-0000-0000-000000000000", True, False), None)
    same(index.FindByInventoryPath("no/such/thing"), None)


@both("a wait tells what changes, and can be cancelled")
def updates(server):
    vm = server.vm("web01")
    pc = server.content.propertyCollector.CreatePropertyCollector()
    spec = PC.FilterSpec(
        objectSet=[PC.ObjectSpec(obj=vm)], propSet=[PC.PropertySpec(type=vim.VirtualMachine, pathSet=["name"])]
    )
    filter = pc.CreateFilter(spec, True)
    first = pc.WaitForUpdatesEx("", PC.WaitOptions(maxWaitSeconds=5))
    same(first.filterSet[0].objectSet[0].changeSet[0].val, "web01")
    same(pc.WaitForUpdatesEx(first.version, PC.WaitOptions(maxWaitSeconds=0)), None)
    second = server.login()
    other = vim.VirtualMachine(vm._moId, second._stub)
    later = threading.Timer(0.2, lambda: quiet(other.Rename, "web99"))
    later.start()
    update = pc.WaitForUpdatesEx(first.version, PC.WaitOptions(maxWaitSeconds=20))
    same(update.filterSet[0].objectSet[0].kind, "modify")
    same(update.filterSet[0].objectSet[0].changeSet[0].val, "web99")
    same(pc.WaitForUpdatesEx(first.version, PC.WaitOptions(maxWaitSeconds=0)).version, update.version)
    timer = threading.Timer(0.3, pc.CancelWaitForUpdates)
    timer.start()
    try:
        pc.WaitForUpdatesEx(update.version, PC.WaitOptions(maxWaitSeconds=20))
    except vmodl.fault.RequestCanceled:
        pass
    else:
        raise AssertionError("the wait was not cancelled")
    timer.join()
    filter.Destroy()
    pc.Destroy()


def quiet(call, *arguments):
    """In a thread, where an error would only make noise; what follows from it is checked."""
    try:
        call(*arguments)
    except Exception:
        return


@both("a view and a filter see machines come and go")
def come_and_go(server):
    content = server.content
    view = content.viewManager.CreateContainerView(content.rootFolder, [vim.VirtualMachine], True)
    walk = PC.TraversalSpec(name="view", type=vim.view.ContainerView, path="view", skip=False)
    spec = PC.FilterSpec(
        objectSet=[PC.ObjectSpec(obj=view, skip=True, selectSet=[walk])],
        propSet=[PC.PropertySpec(type=vim.VirtualMachine, pathSet=["name"])],
    )
    pc = content.propertyCollector.CreatePropertyCollector()
    pc.CreateFilter(spec, True)
    update = pc.WaitForUpdatesEx("", PC.WaitOptions(maxWaitSeconds=5, maxObjectUpdates=5))
    count = len(update.filterSet[0].objectSet)
    same((count, update.truncated), (5, True))
    while update.truncated:
        update = pc.WaitForUpdatesEx(update.version, PC.WaitOptions(maxWaitSeconds=5, maxObjectUpdates=5))
        count += len(update.filterSet[0].objectSet)
    same(count, len(view.view))
    vm = server.vm("test01")
    server.wait(vm.Destroy_Task())
    kinds = {}
    until = time.monotonic() + 10
    while "leave" not in kinds.values() and time.monotonic() < until:
        update = pc.WaitForUpdatesEx(update.version, PC.WaitOptions(maxWaitSeconds=5))
        if update is None:
            continue
        kinds.update({it.obj._moId: it.kind for one in update.filterSet for it in one.objectSet})
    same(kinds.get(vm._moId), "leave")
