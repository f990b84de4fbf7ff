#!/usr/bin/env python3
"""Deploys OVAs that other tools made to the public simulator, as both of its servers; pyVmomi looks.

    tests/peers/.build/venv/bin/python tests/peers/deploy.py BINARY

The disk is qemu-img's, the archives are GNU tar's, bsdtar's and Python's, in each format that they
write; from a file and through a pipe, the manifest first and last. A line for each that fails, then
how many passed; ends with 1 if any failed.
"""

import hashlib
import os
import pathlib
import ssl
import subprocess
import sys
import tarfile
import tempfile
import urllib.parse

from pyVim.connect import Disconnect, SmartConnect
from pyVmomi import vim

import peer

DISK = "edge-disk1.vmdk"
SIZE = 8 << 20
OVF = """<?xml version="1.0"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
 xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
 xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData">
<References><File ovf:href="%s" ovf:id="f" ovf:size="%d"/></References>
<DiskSection><Info/><Disk ovf:capacity="%d" ovf:capacityAllocationUnits="byte * 2^10" ovf:diskId="d" ovf:fileRef="f"
 ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/></DiskSection>
<NetworkSection><Info/><Network ovf:name="Inside"><Description/></Network></NetworkSection>
<VirtualSystem ovf:id="edge"><Info/><Name>edge</Name><OperatingSystemSection ovf:id="96"><Info/></OperatingSystemSection>
<VirtualHardwareSection><Info/>
<System><vssd:ElementName>x</vssd:ElementName><vssd:InstanceID>0</vssd:InstanceID><vssd:VirtualSystemIdentifier>edge</vssd:VirtualSystemIdentifier><vssd:VirtualSystemType>vmx-13</vssd:VirtualSystemType></System>
<Item><rasd:ElementName>cpu</rasd:ElementName><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>2</rasd:VirtualQuantity></Item>
<Item><rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits><rasd:ElementName>memory</rasd:ElementName><rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>512</rasd:VirtualQuantity></Item>
<Item><rasd:Address>0</rasd:Address><rasd:ElementName>scsi</rasd:ElementName><rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceSubType>lsilogic</rasd:ResourceSubType><rasd:ResourceType>6</rasd:ResourceType></Item>
<Item><rasd:AddressOnParent>0</rasd:AddressOnParent><rasd:ElementName>disk</rasd:ElementName><rasd:HostResource>ovf:/disk/d</rasd:HostResource><rasd:InstanceID>4</rasd:InstanceID><rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>
<Item><rasd:AddressOnParent>7</rasd:AddressOnParent><rasd:Connection>Inside</rasd:Connection><rasd:ElementName>nic</rasd:ElementName><rasd:InstanceID>5</rasd:InstanceID><rasd:ResourceSubType>VmxNet3</rasd:ResourceSubType><rasd:ResourceType>10</rasd:ResourceType></Item>
</VirtualHardwareSection></VirtualSystem></Envelope>
"""


def parts(folder):
    """Descriptor, manifest and a disk that holds something."""
    raw = folder / "raw"
    raw.write_bytes(os.urandom(2 << 20) + bytes(SIZE - (2 << 20)))
    command = ["qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized"]
    subprocess.run([*command, str(raw), str(folder / DISK)], check=True)
    # Without its holes, which bsdtar would store as a sparse member: no OVA may hold one.
    (folder / DISK).write_bytes((folder / DISK).read_bytes())
    size = (folder / DISK).stat().st_size
    (folder / "edge.ovf").write_text(OVF % (DISK, size, SIZE >> 10))
    digest = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in ("edge.ovf", DISK)}
    (folder / "edge.mf").write_text("".join(f"SHA256({name})= {it}\n" for name, it in digest.items()))


def archives(folder):
    """The name of each way to make one, and its path."""
    orders = [["edge.ovf", "edge.mf", DISK], ["edge.ovf", DISK, "edge.mf"]]
    ways = [("tar", it) for it in ("v7", "oldgnu", "gnu", "ustar", "posix")]
    ways += [("bsdtar", it) for it in ("gnutar", "ustar", "pax")]
    ways += [("tarfile", it) for it in ("USTAR_FORMAT", "GNU_FORMAT", "PAX_FORMAT")]
    for at, (tool, form) in enumerate(ways):
        path, names = folder / f"{tool}-{form}.ova", orders[at % 2]
        if tool == "tarfile":
            with tarfile.open(path, "w", format=getattr(tarfile, form)) as file:
                for name in names:
                    file.add(folder / name, name)
        else:
            subprocess.run([tool, f"--format={form}", "-cf", str(path), *names], cwd=folder, check=True)
        yield path.stem.lower().replace("_", "-"), path


def deploy(binary, sim, folder, name, path, pipe):
    command = [binary, "call", "deploy_ova", f"ova_path={'-' if pipe else path}", f"vm_name={name}"]
    with open(path, "rb") as data:
        done = subprocess.run(
            [*command, "network=VM Network"],
            stdin=data if pipe else subprocess.DEVNULL,
            env=sim.environment(),
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=60,
        )
    said = done.stdout + done.stderr
    assert done.returncode == 0 and "2 files compared with the manifest `edge.mf`" in said, said


def look(sim, names):
    """What is wrong with machines of these names."""
    at = urllib.parse.urlparse(sim.url)
    context = ssl.create_default_context(cafile=str(sim.trust))
    si = SmartConnect(host=at.hostname, port=at.port, user=peer.USER, pwd=peer.PASSWORD, sslContext=context)
    content = si.RetrieveContent()
    view = content.viewManager.CreateContainerView(content.rootFolder, [vim.VirtualMachine], True)
    found = {vm.name: vm for vm in view.view}
    for name in names:
        hardware = found[name].config.hardware
        disks = [it.capacityInKB for it in hardware.device if isinstance(it, vim.vm.device.VirtualDisk)]
        nics = [it for it in hardware.device if isinstance(it, vim.vm.device.VirtualEthernetCard)]
        seen = (hardware.numCPU, hardware.memoryMB, disks, len(nics), found[name].runtime.powerState)
        assert seen == (2, 512, [SIZE >> 10], 1, "poweredOff"), f"{name}: {seen}"
    Disconnect(si)


def main():
    binary, passed, failed = str(pathlib.Path(sys.argv[1]).resolve()), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        parts(folder)
        made = list(archives(folder))
        for model in ("esx", "vpx"):
            with peer.Simulator(model) as sim:
                for at, (name, path) in enumerate(made):
                    try:
                        deploy(binary, sim, folder, name, path, at % 3 == 2)
                        look(sim, [name])
                        passed += 1
                    except (AssertionError, KeyError, subprocess.TimeoutExpired) as error:
                        failed += 1
                        print(f"{model}: {name}: {error!r}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
