"""What only a vCenter has, and how an ESXi host refuses it."""

from pyVmomi import vim, vmodl

from sim_checks import check, refused, same
from sim_checks.machines import create


def clone_spec(server, **more):
    place = vim.vm.RelocateSpec(pool=server.all(vim.ResourcePool)[0])
    return vim.vm.CloneSpec(location=place, powerOn=False, template=False, **more)


@check("a machine is cloned", "vcenter")
def cloned(server):
    vm = create(server)
    folder = server.datacenter.vmFolder
    new = server.wait(vm.Clone(folder, "copy", clone_spec(server)))
    same((new.name, new.config.hardware.memoryMB, new.runtime.powerState), ("copy", 2048, "poweredOff"))
    assert new._moId != vm._moId and new.config.uuid != vm.config.uuid
    cards = [[it.macAddress for it in one.config.hardware.device if isinstance(it, vim.vm.device.VirtualEthernetCard)]
             for one in (vm, new)]  # fmt: skip
    assert cards[0] != cards[1], cards
    (disk,) = [it for it in new.config.hardware.device if isinstance(it, vim.vm.device.VirtualDisk)]
    same(disk.backing.fileName, "[datastore1] copy/copy.vmdk")
    with refused(vim.fault.DuplicateName):
        server.wait(vm.Clone(folder, "copy", clone_spec(server)))
    spec = clone_spec(server)
    spec.powerOn = True
    same(server.wait(vm.Clone(folder, "running", spec)).runtime.powerState, "poweredOn")


@check("a machine becomes a template and a machine again", "vcenter")
def template(server):
    vm = create(server)
    vm.MarkAsTemplate()
    same(vm.config.template, True)
    with refused(vim.fault.InvalidState, vmodl.fault.NotSupported):
        server.wait(vm.PowerOn())
    vm.MarkAsVirtualMachine(server.all(vim.ResourcePool)[0], None)
    same(vm.config.template, False)
    server.wait(vm.PowerOn())


@check("folders are made, and machines are moved between them", "vcenter")
def folders(server):
    vm, root = create(server), server.datacenter.vmFolder
    new = root.CreateFolder("Projects")
    with refused(vim.fault.DuplicateName):
        root.CreateFolder("Projects")
    server.wait(new.MoveInto([vm]))
    same((vm.parent._moId, [it._moId for it in new.childEntity]), (new._moId, [vm._moId]))
    found = server.content.searchIndex.FindByInventoryPath(f"{server.datacenter.name}/vm/Projects/new01")
    same(found._moId, vm._moId)


@check("a machine is moved to another host and datastore", "vcenter")
def relocated(server):
    vm = create(server)
    store = server.named(vim.Datastore, "nas01")
    server.wait(vm.Relocate(vim.vm.RelocateSpec(datastore=store)))
    same([it.name for it in vm.datastore], ["nas01"])
    same(vm.config.files.vmPathName, "[nas01] new01/new01.vmx")


@check("a vCenter has a cluster, hosts and its own ids", "vcenter")
def inventory(server):
    assert server.all(vim.ClusterComputeResource)
    assert all(it._moId.startswith("vm-") for it in server.all(vim.VirtualMachine))
    hosts = server.all(vim.HostSystem)
    assert len(hosts) > 1 and all(it.runtime.connectionState for it in hosts)
    assert all(it.runtime.host is not None for it in server.all(vim.VirtualMachine))
    manager = server.content.sessionManager
    key, user = manager.currentSession.key, manager.currentSession.userName
    same(manager.SessionIsActive(key, user), True)


@check("an ESXi host knows no clones, templates, folders")
def host_refuses(server):
    vm, folder = server.vm("test01"), server.datacenter.vmFolder
    with refused(vmodl.fault.NotSupported):
        vm.Clone(folder, "copy", clone_spec(server))
    with refused(vmodl.fault.NotSupported):
        vm.MarkAsTemplate()
    with refused(vmodl.fault.NotSupported):
        folder.CreateFolder("x")
