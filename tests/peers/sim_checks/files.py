"""Datastores: browse, /folder, the file manager and the disk manager."""

from pyVmomi import vim, vmodl

from sim_checks import both, check, refused, same

DATA = bytes(range(256)) * 40


def browser(server):
    return server.named(vim.Datastore, "datastore1").browser


def listed(server, folder, pattern="*"):
    flags = vim.host.DatastoreBrowser.FileInfo.Details(fileType=True, fileSize=True, modification=True, fileOwner=True)
    spec = vim.host.DatastoreBrowser.SearchSpec(matchPattern=[pattern], details=flags, sortFoldersFirst=True)
    found = server.wait(browser(server).Search(f"[datastore1] {folder}".rstrip(), spec))
    return {it.path: it for it in found.file}


@both("a datastore is browsed, with sizes and kinds")
def browsed(server):
    root = listed(server, "")
    assert isinstance(root["web01"], vim.host.DatastoreBrowser.FolderInfo), root["web01"]
    files = listed(server, "web01")
    assert isinstance(files["web01.vmx"], vim.host.DatastoreBrowser.VmConfigInfo), files["web01.vmx"]
    assert isinstance(files["web01.vmdk"], vim.host.DatastoreBrowser.VmDiskInfo), files["web01.vmdk"]
    assert files["web01.vmdk"].fileSize > 0 and files["web01.vmx"].modification is not None
    same(set(listed(server, "web01", "*.vmx")), {"web01.vmx"})
    query = [vim.host.DatastoreBrowser.VmDiskQuery(details=vim.host.DatastoreBrowser.VmDiskQuery.Details(capacityKb=True))]
    spec = vim.host.DatastoreBrowser.SearchSpec(query=query)
    found = server.wait(browser(server).SearchSubFolders("[datastore1]", spec))
    disks = {(one.folderPath, it.path): it for one in found for it in one.file}
    same(len([key for key in disks if key[1] == "web01.vmdk"]), 1)
    assert all(isinstance(it, vim.host.DatastoreBrowser.VmDiskInfo) for it in disks.values())
    with refused(vim.fault.FileNotFound):
        listed(server, "no such folder")
    with refused(vim.fault.InvalidDatastore, vim.fault.InvalidDatastorePath, vmodl.fault.InvalidArgument):
        server.wait(browser(server).Search("[nowhere]", spec))


@both("files go up and down by HTTP, whole and in parts")
def folder(server):
    path = server.folder("datastore1", "some dir/data & more.bin")
    server.content.fileManager.MakeDirectory("[datastore1] some dir", server.datacenter, False)
    status, _, _ = server.http("PUT", path, DATA, {"Content-Type": "application/octet-stream"})
    assert status in (200, 201), status
    status, headers, body = server.http("GET", path)
    same((status, body, int(headers["Content-Length"])), (200, DATA, len(DATA)))
    status, headers, body = server.http("GET", path, headers={"Range": "bytes=100-299"})
    same((status, body), (206, DATA[100:300]))
    same(headers["Content-Range"], f"bytes 100-299/{len(DATA)}")
    same(server.http("GET", path, headers={"Range": "bytes=-5"})[2], DATA[-5:])
    same(server.http("GET", path, headers={"Range": f"bytes={len(DATA)}-"})[0], 416)
    status, headers, body = server.http("HEAD", path)
    same((status, int(headers["Content-Length"]), body), (200, len(DATA), b""))
    same(listed(server, "some dir")["data & more.bin"].fileSize, len(DATA))
    assert server.http("PUT", path, iter([b"in ", b"pieces"]))[0] in (200, 201)
    same(server.http("GET", path)[2], b"in pieces")
    assert server.http("DELETE", path)[0] in (200, 204)
    same(server.http("GET", path)[0], 404)


@both("who has no session, or may only look, changes no file")
def folder_refused(server):
    path = server.folder("datastore1", "web01/web01.vmx")
    same(server.http("GET", path, cookie=False)[0], 401)
    viewer = server.login("viewer")
    assert server.http("PUT", path, b"x", si=viewer)[0] in (401, 403)
    same(server.http("GET", path)[0], 200)
    same(server.http("GET", server.folder("nowhere", "x"))[0], 404)
    same(server.http("GET", server.folder("datastore1", "../../etc/passwd"))[0] in (400, 403, 404), True)


@both("directories are made; files are copied, moved and deleted")
def manager(server):
    files, centre = server.content.fileManager, server.datacenter
    files.MakeDirectory("[datastore1] a/b/c", centre, True)
    with refused(vim.fault.FileAlreadyExists):
        files.MakeDirectory("[datastore1] a", centre, False)
    with refused(vim.fault.FileNotFound, vim.fault.CannotCreateFile):
        files.MakeDirectory("[datastore1] x/y/z", centre, False)
    server.http("PUT", server.folder("datastore1", "a/one.iso"), DATA)
    server.wait(files.CopyFile("[datastore1] a/one.iso", centre, "[nas01] two.iso", centre, False))
    same(server.http("GET", server.folder("nas01", "two.iso"))[2], DATA)
    with refused(vim.fault.FileAlreadyExists):
        server.wait(files.CopyFile("[datastore1] a/one.iso", centre, "[nas01] two.iso", centre, False))
    server.wait(files.MoveFile("[datastore1] a/one.iso", centre, "[datastore1] a/b/c/three.iso", centre, True))
    same(sorted(listed(server, "a")), ["b"])
    same(listed(server, "a/b/c")["three.iso"].fileSize, len(DATA))
    server.wait(files.DeleteFile("[datastore1] a", centre))
    with refused(vim.fault.FileNotFound):
        listed(server, "a")
    with refused(vim.fault.FileNotFound):
        server.wait(files.DeleteFile("[datastore1] a", centre))


@check("virtual disks are created, copied, grown and deleted")
def virtual_disks(server):
    disks, centre = server.content.virtualDiskManager, server.datacenter
    spec = vim.VirtualDiskManager.FileBackedVirtualDiskSpec(
        capacityKb=1 << 20, diskType="thin", adapterType="lsiLogic"
    )
    server.wait(disks.CreateVirtualDisk("[datastore1] plain.vmdk", centre, spec))
    with refused(vim.fault.FileAlreadyExists):
        server.wait(disks.CreateVirtualDisk("[datastore1] plain.vmdk", centre, spec))
    assert disks.QueryVirtualDiskUuid("[datastore1] plain.vmdk", centre)
    server.wait(disks.CopyVirtualDisk("[datastore1] plain.vmdk", centre, "[nas01] copy.vmdk", centre, None, False))
    server.wait(disks.ExtendVirtualDisk("[datastore1] plain.vmdk", centre, 2 << 20, False))
    server.wait(disks.MoveVirtualDisk("[nas01] copy.vmdk", centre, "[nas01] moved.vmdk", centre, False, None))
    server.wait(disks.DeleteVirtualDisk("[nas01] moved.vmdk", centre))
    with refused(vim.fault.FileNotFound):
        server.wait(disks.DeleteVirtualDisk("[nas01] moved.vmdk", centre))
    assert "plain.vmdk" in listed(server, "", "*.vmdk")
