"""OVF: descriptor, import by a lease with uploads, export, and what becomes of a lease left alone."""

import hashlib
import http.client
import json
import pathlib
import struct
import subprocess
import tempfile
import time
import zlib

from pyVmomi import vim, vmodl

from sim_checks import PC, both, check, refused, same
from sim_checks.machines import create

SECTOR = 512
GRAIN = 128  # sectors
DESCRIPTOR = """<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
 xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
 xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData">
 <References><File ovf:href="app-disk1.vmdk" ovf:id="file1" ovf:size="{size}"/>
  <File ovf:href="app.iso" ovf:id="file2" ovf:size="4096"/></References>
 <DiskSection><Info>Disks</Info><Disk ovf:capacity="{capacity}" ovf:capacityAllocationUnits="byte" ovf:diskId="vmdisk1"
  ovf:fileRef="file1" ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/></DiskSection>
 <NetworkSection><Info>Networks</Info><Network ovf:name="Inside"><Description>Where it works</Description></Network></NetworkSection>
 <VirtualSystem ovf:id="app"><Info>An appliance</Info><Name>app</Name>
  <OperatingSystemSection ovf:id="96"><Info>OS</Info></OperatingSystemSection>
  <ProductSection><Info>Product</Info><Product>App</Product><Vendor>Maker</Vendor><Version>1.2</Version>
   <Property ovf:key="host.name" ovf:type="string" ovf:userConfigurable="true" ovf:value="app"><Label>Host name</Label></Property>
  </ProductSection>
  <VirtualHardwareSection><Info>Hardware</Info>
   <System><vssd:ElementName>Family</vssd:ElementName><vssd:InstanceID>0</vssd:InstanceID>
    <vssd:VirtualSystemIdentifier>app</vssd:VirtualSystemIdentifier><vssd:VirtualSystemType>vmx-13</vssd:VirtualSystemType></System>
   <Item><rasd:AllocationUnits>hertz * 10^6</rasd:AllocationUnits><rasd:ElementName>cpu</rasd:ElementName><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>2</rasd:VirtualQuantity></Item>
   <Item><rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits><rasd:ElementName>memory</rasd:ElementName><rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>1024</rasd:VirtualQuantity></Item>
   <Item><rasd:Address>0</rasd:Address><rasd:ElementName>scsi</rasd:ElementName><rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceSubType>lsilogic</rasd:ResourceSubType><rasd:ResourceType>6</rasd:ResourceType></Item>
   <Item><rasd:Address>0</rasd:Address><rasd:ElementName>ide</rasd:ElementName><rasd:InstanceID>4</rasd:InstanceID><rasd:ResourceType>5</rasd:ResourceType></Item>
   <Item><rasd:AddressOnParent>0</rasd:AddressOnParent><rasd:ElementName>disk</rasd:ElementName><rasd:HostResource>ovf:/disk/vmdisk1</rasd:HostResource><rasd:InstanceID>5</rasd:InstanceID><rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>
   <Item><rasd:AddressOnParent>0</rasd:AddressOnParent><rasd:ElementName>cd</rasd:ElementName><rasd:HostResource>ovf:/file/file2</rasd:HostResource><rasd:InstanceID>6</rasd:InstanceID><rasd:Parent>4</rasd:Parent><rasd:ResourceType>15</rasd:ResourceType></Item>
   <Item><rasd:AddressOnParent>7</rasd:AddressOnParent><rasd:Connection>Inside</rasd:Connection><rasd:ElementName>nic</rasd:ElementName><rasd:InstanceID>7</rasd:InstanceID><rasd:ResourceSubType>VmxNet3</rasd:ResourceSubType><rasd:ResourceType>10</rasd:ResourceType></Item>
  </VirtualHardwareSection>
 </VirtualSystem>
</Envelope>
"""


def stream_disk(capacity, pieces):
    """A stream-optimised VMDK as the format's document has it; `pieces` is data by grain."""
    sectors, tables = capacity // SECTOR, -(-(capacity // SECTOR) // (GRAIN * 512))
    text = (
        "# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\ncreateType=\"streamOptimized\"\n"
        f'RDW {sectors} SPARSE "disk.vmdk"\nddb.adapterType = "lsilogic"\nddb.geometry.cylinders = "8"\n'
        'ddb.geometry.heads = "64"\nddb.geometry.sectors = "32"\nddb.virtualHWVersion = "13"\n'
    ).encode()

    def header(directory):
        return struct.pack(
            "<4sIIQQQQIQQQ?4sH433x", b"KDMV", 3, 0x30001, sectors, GRAIN, 1, 1, 512, 0, directory, 128, False,
            b"\n \r\n", 1
        )  # fmt: skip

    def padded(data):
        return data + b"\0" * (-len(data) % SECTOR)

    def marker(count, kind):
        return padded(struct.pack("<QII", count, 0, kind))

    out = bytearray(header(2**64 - 1) + text.ljust(127 * SECTOR, b"\0"))
    grains = {}
    for number, data in sorted(pieces.items()):
        grains[number] = len(out) // SECTOR
        packed = zlib.compress(data)
        out += padded(struct.pack("<QI", number * GRAIN, len(packed)) + packed)
    places = []
    for table in range(tables):
        out += marker(4, 1)
        places.append(len(out) // SECTOR)
        out += struct.pack("<512I", *(grains.get(table * 512 + it, 0) for it in range(512)))
    out += marker(len(padded(b"\0" * 4 * tables)) // SECTOR, 2)
    directory = len(out) // SECTOR
    out += padded(struct.pack(f"<{tables}I", *places))
    out += marker(1, 3) + header(directory) + marker(0, 0)
    return bytes(out)


CAPACITY = 64 << 20
DISK = stream_disk(CAPACITY, {0: b"boot" * (GRAIN * SECTOR // 4), 77: hashlib.sha256(b"x").digest() * (GRAIN * SECTOR // 32)})
ISO = b"\0" * 4096


def image(data, *command):
    """What qemu-img says of a disk."""
    with tempfile.TemporaryDirectory(prefix="judge-") as directory:
        file = pathlib.Path(directory) / "disk.vmdk"
        file.write_bytes(data)
        done = subprocess.run(["qemu-img", *command, str(file)], capture_output=True, text=True)
        assert done.returncode == 0, f"qemu-img {command[0]}: {done.stdout}{done.stderr}"
        return done.stdout


def planned(server, name="app", network="Lab"):
    """The import spec for the appliance."""
    mapping = vim.OvfManager.NetworkMapping(name="Inside", network=server.named(vim.Network, network))
    params = vim.OvfManager.CreateImportSpecParams(
        locale="", deploymentOption="", entityName=name, diskProvisioning="thin", networkMapping=[mapping]
    )
    pool, store = server.all(vim.ResourcePool)[0], server.named(vim.Datastore, "datastore1")
    text = DESCRIPTOR.format(size=len(DISK), capacity=CAPACITY)
    spec = server.content.ovfManager.CreateImportSpec(text, pool, store, params)
    assert not spec.error, spec.error
    return spec, pool


def begun(server, name="app"):
    spec, pool = planned(server, name)
    lease = pool.ImportVApp(spec.importSpec, server.datacenter.vmFolder, None)
    ready(server, lease)
    return lease, spec


def ready(server, lease):
    pc = server.content.propertyCollector.CreatePropertyCollector()
    kind = vim.HttpNfcLease
    pc.CreateFilter(
        PC.FilterSpec(objectSet=[PC.ObjectSpec(obj=lease)], propSet=[PC.PropertySpec(type=kind, pathSet=["state"])]), True
    )
    version, until, state = "", time.monotonic() + 20, None
    while state != "ready" and time.monotonic() < until:
        update = pc.WaitForUpdatesEx(version, PC.WaitOptions(maxWaitSeconds=5))
        if update is not None:
            version, state = update.version, update.filterSet[0].objectSet[0].changeSet[0].val
    pc.Destroy()
    same(state, "ready", f"lease: {lease.error}")


def send(server, lease, item, data, method=None, headers=None):
    """One file of the import."""
    (target,) = [it for it in lease.info.deviceUrl if it.importKey == item.deviceId]
    url = target.url.replace("*", f"127.0.0.1:{server.port}")
    sent = {"Content-Type": "application/x-vnd.vmware-streamVmdk"}
    if item.create:
        sent["Overwrite"] = "t"
    sent.update(headers or {})
    method = method or ("PUT" if item.create else "POST")
    return server.http(method, url, data, sent, cookie=False)[0]


@both("a descriptor is parsed")
def parsed(server):
    text = DESCRIPTOR.format(size=len(DISK), capacity=CAPACITY)
    found = server.content.ovfManager.ParseDescriptor(text, vim.OvfManager.ParseDescriptorParams(locale="", deploymentOption=""))
    same([it.name for it in found.network], ["Inside"])
    same([it.id for it in found.property], ["host.name"])
    same((found.defaultEntityName, found.error), ("app", []))
    broken = server.content.ovfManager.ParseDescriptor("<no", vim.OvfManager.ParseDescriptorParams(locale="", deploymentOption=""))
    assert broken.error


@both("an OVF is imported: plan, lease, uploads, progress, checksums, machine")
def imported(server):
    lease, spec = begun(server)
    items = {it.path: it for it in spec.fileItem}
    same({path: it.create for path, it in items.items()}, {"app-disk1.vmdk": False, "app.iso": True})
    info = lease.info
    assert info.leaseTimeout > 0 and info.totalDiskCapacityInKB == CAPACITY >> 10, info
    vm = info.entity
    with refused(vim.fault.TaskInProgress, vim.fault.InvalidState, vmodl.fault.NotSupported, vim.fault.InvalidPowerState):
        server.wait(vm.PowerOn())
    assert send(server, lease, items["app-disk1.vmdk"], DISK) in (200, 201)
    lease.Progress(50)
    same(lease.transferProgress, 50)
    assert send(server, lease, items["app.iso"], ISO) in (200, 201)
    manifest = {it.key: it for it in lease.GetManifest()}
    sums = sorted(it.sha1 for it in manifest.values())
    assert hashlib.sha1(DISK).hexdigest() in sums and hashlib.sha1(ISO).hexdigest() in sums, sums
    (disk,) = [it for it in manifest.values() if it.disk]
    same((disk.size, disk.capacity), (len(DISK), CAPACITY))
    lease.Progress(100)
    lease.Complete()
    same((vm.name, vm.config.hardware.numCPU, vm.config.hardware.memoryMB), ("app", 2, 1024))
    same([it.name for it in vm.network], ["Lab"])
    (own,) = [it for it in vm.config.hardware.device if isinstance(it, vim.vm.device.VirtualDisk)]
    same((own.capacityInKB, own.backing.fileName), (CAPACITY >> 10, "[datastore1] app/app.vmdk"))
    server.wait(vm.PowerOn())
    with refused(vmodl.fault.ManagedObjectNotFound, vim.fault.InvalidState, vim.fault.Timedout):
        lease.Progress(1)


@both("an aborted import leaves nothing behind")
def aborted(server):
    lease, spec = begun(server)
    vm = lease.info.entity
    send(server, lease, spec.fileItem[0], DISK)
    lease.Abort(vmodl.fault.RequestCanceled())
    with refused(vmodl.fault.ManagedObjectNotFound):
        _ = vm.name
    store = server.named(vim.Datastore, "datastore1")
    found = server.wait(store.browser.Search("[datastore1]", vim.host.DatastoreBrowser.SearchSpec(matchPattern=["app*"])))
    same(list(found.file), [])


@check("what is uploaded wrongly is refused")
def wrong_uploads(server):
    lease, spec = begun(server)
    items = {it.path: it for it in spec.fileItem}
    iso, disk = items["app.iso"], items["app-disk1.vmdk"]
    assert send(server, lease, iso, ISO) in (200, 201)
    assert send(server, lease, iso, ISO, headers={"Overwrite": "f"}) >= 400, "a second file without overwrite"
    assert send(server, lease, iso, ISO) in (200, 201), "a second file with overwrite"
    same(server.http("POST", f"/nfc/{'0' * 36}/disk-0.vmdk", b"x", cookie=False)[0], 404)
    # No disk at all: the host says so, or the lease ends with an error.
    status = send(server, lease, disk, b"this is no disk" * 100)
    assert status >= 400 or lease.state == "error", status


@check("a lease without progress ends, and its machine goes", options=("--clock", "2026-01-15T08:00:00Z"),
       faults=[{"method": "QueryOptions", "nth": 1, "delay_ms": 1_200_000}])  # fmt: skip
def forgotten(server):
    lease, spec = begun(server)
    vm = lease.info.entity
    server.content.setting.QueryOptions("Config.HostAgent.log.level")  # twenty minutes pass
    with refused(vmodl.fault.ManagedObjectNotFound, vim.fault.Timedout, vim.fault.InvalidState):
        lease.Complete()
    with refused(vmodl.fault.ManagedObjectNotFound):
        _ = vm.name


@check("a broken upload does not become a disk", faults=[{"path": "/*nfc/*", "nth": 1, "truncate": 20000}])
def broken(server):
    lease, spec = begun(server)
    item = next(it for it in spec.fileItem if not it.create)
    with refused(http.client.HTTPException, ConnectionError, OSError):
        send(server, lease, item, DISK)
    if lease.state == "ready":
        same([it for it in lease.GetManifest() if it.size == len(DISK)], [])
        lease.Abort(None)


@both("a machine is exported: disk, descriptor, checksums")
def exported(server):
    vm = create(server)
    with refused(vim.fault.InvalidPowerState):
        server.vm("web01").ExportVm()
    lease = vm.ExportVm()
    ready(server, lease)
    info = lease.info
    same(info.entity._moId, vm._moId)
    files, sums = [], {}
    for target in info.deviceUrl:
        status, _, data = server.http("GET", target.url.replace("*", f"127.0.0.1:{server.port}"), cookie=False)
        same(status, 200, target.url)
        sums[target.key] = (hashlib.sha1(data).hexdigest(), len(data))
        if target.disk:
            found = json.loads(image(data, "info", "--output=json"))
            same((found["format"], found["virtual-size"]), ("vmdk", 1 << 30))
            image(data, "check")
            name = f"disk-{len(files)}.vmdk"
            files.append(vim.OvfManager.OvfFile(deviceId=target.key, path=name, size=len(data)))
        lease.Progress(50)
    same(len(files), 1, "disks")
    manifest = {it.key: (it.sha1, it.size) for it in lease.GetManifest()}
    for key, value in sums.items():
        same(manifest[key], value, f"manifest of {key}")
    params = vim.OvfManager.CreateDescriptorParams(ovfFiles=files, name="new01", description="")
    result = server.content.ovfManager.CreateDescriptor(vm, params)
    assert not result.error, result.error
    assert "disk-0.vmdk" in result.ovfDescriptor and "<VirtualHardwareSection" in result.ovfDescriptor
    lease.Complete()
    # What came out goes in again.
    plan = vim.OvfManager.CreateImportSpecParams(locale="", deploymentOption="", entityName="again", diskProvisioning="thin")
    pool, store = server.all(vim.ResourcePool)[0], server.named(vim.Datastore, "datastore1")
    spec = server.content.ovfManager.CreateImportSpec(result.ovfDescriptor, pool, store, plan)
    assert not spec.error, spec.error
    same([it.path for it in spec.fileItem], ["disk-0.vmdk"])


@check("the disk that these checks upload is one", kind="esxi")
def own_disk(_):
    found = json.loads(image(DISK, "info", "--output=json"))
    same(found["virtual-size"], CAPACITY)
    image(DISK, "check")
