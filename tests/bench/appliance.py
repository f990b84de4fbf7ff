"""An OVA of any size that is made while it is read: a descriptor, a manifest if wanted, one disk.

The disk begins as a streamOptimized VMDK does and goes on with zeros; no host looks further before it
has all of it. `Web` serves it from loopback with ranges, so that no byte of it is ever on a disk.
"""

import hashlib
import http.server
import io
import struct
import tarfile
import threading

SECTOR = 512
PIECE = bytes(1 << 20)
DISK = "appliance-disk1.vmdk"
DESCRIPTOR = """<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
 xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
 xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData">
 <References><File ovf:href="{disk}" ovf:id="file1" ovf:size="{size}"/></References>
 <DiskSection><Info>Disks</Info><Disk ovf:capacity="{capacity}" ovf:capacityAllocationUnits="byte" ovf:diskId="vmdisk1"
  ovf:fileRef="file1" ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/></DiskSection>
 <NetworkSection><Info>Networks</Info><Network ovf:name="VM Network"><Description>Where it works</Description></Network></NetworkSection>
 <VirtualSystem ovf:id="appliance"><Info>An appliance</Info><Name>appliance</Name>
  <OperatingSystemSection ovf:id="96"><Info>OS</Info></OperatingSystemSection>
  <VirtualHardwareSection><Info>Hardware</Info>
   <System><vssd:ElementName>Family</vssd:ElementName><vssd:InstanceID>0</vssd:InstanceID>
    <vssd:VirtualSystemIdentifier>appliance</vssd:VirtualSystemIdentifier><vssd:VirtualSystemType>vmx-13</vssd:VirtualSystemType></System>
   <Item><rasd:AllocationUnits>hertz * 10^6</rasd:AllocationUnits><rasd:ElementName>cpu</rasd:ElementName><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>2</rasd:VirtualQuantity></Item>
   <Item><rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits><rasd:ElementName>memory</rasd:ElementName><rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>1024</rasd:VirtualQuantity></Item>
   <Item><rasd:Address>0</rasd:Address><rasd:ElementName>scsi</rasd:ElementName><rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceSubType>lsilogic</rasd:ResourceSubType><rasd:ResourceType>6</rasd:ResourceType></Item>
   <Item><rasd:AddressOnParent>0</rasd:AddressOnParent><rasd:ElementName>disk</rasd:ElementName><rasd:HostResource>ovf:/disk/vmdisk1</rasd:HostResource><rasd:InstanceID>5</rasd:InstanceID><rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>
   <Item><rasd:AddressOnParent>7</rasd:AddressOnParent><rasd:Connection>VM Network</rasd:Connection><rasd:ElementName>nic</rasd:ElementName><rasd:InstanceID>7</rasd:InstanceID><rasd:ResourceSubType>VmxNet3</rasd:ResourceSubType><rasd:ResourceType>10</rasd:ResourceType></Item>
  </VirtualHardwareSection>
 </VirtualSystem>
</Envelope>
"""


def head_of_disk(size):
    """The first sector of a streamOptimized VMDK; its capacity is that of its own bytes."""
    sectors = max(128, size // SECTOR)
    return struct.pack(
        "<4sIIQQQQIQQQ?4sH433x", b"KDMV", 3, 0x30001, sectors, 128, 1, 1, 512, 0, 2**64 - 1, 128, False, b"\n \r\n", 1
    )


class Appliance:
    """Its bytes as a few that are kept and many zeros."""

    def __init__(self, size, manifest=False):
        self.size = size
        descriptor = DESCRIPTOR.format(disk=DISK, size=size, capacity=max(1 << 16, size)).encode()
        before = self.member("appliance.ovf", descriptor)
        if manifest:
            digest = hashlib.sha256(head_of_disk(size))
            for count in self.zeros(size - SECTOR):
                digest.update(PIECE[:count])
            lines = [f"SHA256(appliance.ovf)= {hashlib.sha256(descriptor).hexdigest()}", f"SHA256({DISK})= {digest.hexdigest()}"]
            before += self.member("appliance.mf", ("\n".join(lines) + "\n").encode())
        self.head = before + self.header(DISK, size) + head_of_disk(size)
        self.descriptor = descriptor
        self.total = len(self.head) + (size - SECTOR) + -size % SECTOR + 2 * SECTOR

    @staticmethod
    def header(name, size):
        info = tarfile.TarInfo(name)
        info.size = size
        return info.tobuf(tarfile.GNU_FORMAT)

    def member(self, name, data):
        return self.header(name, len(data)) + data + bytes(-len(data) % SECTOR)

    @staticmethod
    def zeros(left):
        while left > 0:
            yield min(left, len(PIECE))
            left -= len(PIECE)

    def pieces(self, start=0):
        if start < len(self.head):
            yield self.head[start:]
            start = len(self.head)
        for count in self.zeros(self.total - start):
            yield PIECE[:count]

    def save(self, path):
        with open(path, "wb") as file:
            for piece in self.pieces():
                file.write(piece)

    def save_disk(self, path):
        with open(path, "wb") as file:
            file.write(head_of_disk(self.size))
            for count in self.zeros(self.size - SECTOR):
                file.write(PIECE[:count])


class Web:
    """Serves appliances under `/NAME` (whole) and `/NAME.vmdk` (the disk alone)."""

    def __init__(self, served):
        outer = self
        self.served = served

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_HEAD(self):
                self.answer(False)

            def do_GET(self):
                self.answer(True)

            def answer(self, body):
                name = self.path.lstrip("/")
                found = outer.served.get(name.removesuffix(".vmdk"))
                if found is None:
                    return self.send_error(404)
                disk = name.endswith(".vmdk")
                total = found.size if disk else found.total
                start, status = 0, 200
                asked = self.headers.get("Range", "")
                if asked.startswith("bytes="):
                    start, status = int(asked[6:].split("-")[0]), 206
                self.send_response(status)
                self.send_header("Accept-Ranges", "bytes")
                self.send_header("ETag", f'"{total}"')
                self.send_header("Content-Length", str(total - start))
                if status == 206:
                    self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
                self.end_headers()
                if not body:
                    return None
                pieces = outer.disk(found, start) if disk else found.pieces(start)
                try:
                    for piece in pieces:
                        self.wfile.write(piece)
                except OSError:
                    self.close_connection = True
                return None

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, request, address):
                pass  # whoever has read enough goes away

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    @staticmethod
    def disk(found, start):
        first = head_of_disk(found.size)
        if start < len(first):
            yield first[start:]
            start = len(first)
        for count in found.zeros(found.size - start):
            yield PIECE[:count]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def check():
    """The archive that is made is one that Python's own reader takes."""
    made = Appliance(3 << 20, manifest=True)
    with tarfile.open(fileobj=io.BytesIO(b"".join(made.pieces()))) as archive:
        names = archive.getnames()
    assert names == ["appliance.ovf", "appliance.mf", DISK], names
    assert sum(len(piece) for piece in made.pieces()) == made.total


if __name__ == "__main__":
    check()
