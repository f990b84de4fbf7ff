"""Inside a guest, by VMware Tools: programs, processes, files; and its screen."""

import struct
import time
import zlib

from pyVmomi import vim, vmodl

from sim_checks import both, check, refused, same


def auth(user="root", password="secret"):
    return vim.vm.guest.NamePasswordAuthentication(username=user, password=password, interactiveSession=False)


def run(server, vm, program, arguments, login=None):
    """Runs a program to its end; answers what the process list says of it."""
    manager = server.content.guestOperationsManager.processManager
    login = login or auth()
    spec = vim.vm.guest.ProcessManager.ProgramSpec(programPath=program, arguments=arguments)
    pid = manager.StartProgramInGuest(vm, login, spec)
    until = time.monotonic() + 20
    while time.monotonic() < until:
        (process,) = manager.ListProcessesInGuest(vm, login, [pid])
        if process.endTime is not None:
            return process
        time.sleep(0.1)
    raise AssertionError(f"{program} does not end")


def fetched(server, url, headers=None):
    status, _, body = server.http("GET", url.replace("*", f"127.0.0.1:{server.port}"), cookie=False)
    same(status, 200, url)
    return body


@both("a program is run, and its output and exit code are read")
def program(server):
    vm, files = server.vm("web01"), server.content.guestOperationsManager.fileManager
    out = files.CreateTemporaryFileInGuest(vm, auth(), "judge", ".out", None)
    done = run(server, vm, "/bin/echo", f"hello there > {out}")
    same((done.exitCode, done.owner), (0, "root"))
    info = files.InitiateFileTransferFromGuest(vm, auth(), out)
    same(info.size, len("hello there\n"))
    same(fetched(server, info.url), b"hello there\n")
    files.DeleteFileInGuest(vm, auth(), out)
    with refused(vim.fault.FileNotFound):
        files.InitiateFileTransferFromGuest(vm, auth(), out)
    same(run(server, vm, "/bin/false", "").exitCode, 1)
    with refused(vim.fault.FileNotFound):
        run(server, vm, "/bin/no-such-program", "")


@both("processes are listed and ended")
def processes(server):
    vm, manager = server.vm("web01"), server.content.guestOperationsManager.processManager
    found = manager.ListProcessesInGuest(vm, auth(), None)
    assert "systemd" in [it.name for it in found] and all(it.pid > 0 for it in found), found
    pid = manager.StartProgramInGuest(
        vm, auth(), vim.vm.guest.ProcessManager.ProgramSpec(programPath="/bin/sleep", arguments="1000")
    )
    (process,) = manager.ListProcessesInGuest(vm, auth(), [pid])
    assert process.endTime is None and process.cmdLine.endswith("1000"), process
    manager.TerminateProcessInGuest(vm, auth(), pid)
    (process,) = manager.ListProcessesInGuest(vm, auth(), [pid])
    assert process.endTime is not None and process.exitCode != 0, process
    with refused(vim.fault.GuestProcessNotFound):
        manager.TerminateProcessInGuest(vm, auth(), 999_999)
    assert manager.ReadEnvironmentVariableInGuest(vm, auth(), ["PATH"])[0].startswith("PATH=")


@both("files: up, list, change, down, remove")
def files(server):
    vm, manager = server.vm("web01"), server.content.guestOperationsManager.fileManager
    manager.MakeDirectoryInGuest(vm, auth(), "/tmp/judge/deep", True)
    with refused(vim.fault.FileAlreadyExists):
        manager.MakeDirectoryInGuest(vm, auth(), "/tmp/judge", False)
    data = b"\0\1\2" * 5000
    attributes = vim.vm.guest.FileManager.PosixFileAttributes(permissions=0o640)
    url = manager.InitiateFileTransferToGuest(vm, auth(), "/tmp/judge/a.bin", attributes, len(data), False)
    target = url.replace("*", f"127.0.0.1:{server.port}")
    status, _, _ = server.http("PUT", target, data, cookie=False)
    assert status in (200, 201), status
    with refused(vim.fault.FileAlreadyExists):
        manager.InitiateFileTransferToGuest(vm, auth(), "/tmp/judge/a.bin", attributes, 1, False)
    listing = manager.ListFilesInGuest(vm, auth(), "/tmp/judge", None, None, None)
    rows = {it.path: it for it in listing.files}
    same((rows["a.bin"].size, rows["a.bin"].type, rows["deep"].type), (len(data), "file", "directory"))
    same(rows["a.bin"].attributes.permissions & 0o777, 0o640)
    info = manager.InitiateFileTransferFromGuest(vm, auth(), "/tmp/judge/a.bin")
    same((info.size, fetched(server, info.url)), (len(data), data))
    assert server.http("PUT", target, b"again", cookie=False)[0] >= 400, "the address was good twice"
    page = manager.ListFilesInGuest(vm, auth(), "/etc", 0, 2, None)
    same((len(page.files), page.remaining > 0), (2, True))
    manager.MoveFileInGuest(vm, auth(), "/tmp/judge/a.bin", "/tmp/judge/b.bin", False)
    manager.ChangeFileAttributesInGuest(
        vm, auth(), "/tmp/judge/b.bin", vim.vm.guest.FileManager.PosixFileAttributes(permissions=0o600)
    )
    with refused(vim.fault.FileFault):
        manager.DeleteDirectoryInGuest(vm, auth(), "/tmp/judge", False)
    manager.DeleteDirectoryInGuest(vm, auth(), "/tmp/judge", True)
    with refused(vim.fault.FileNotFound):
        manager.ListFilesInGuest(vm, auth(), "/tmp/judge", None, None, None)


@both("who has a wrong password, no rights or no Tools is refused")
def refusals(server):
    manager = server.content.guestOperationsManager
    web, spec = server.vm("web01"), vim.vm.guest.ProcessManager.ProgramSpec(programPath="/bin/true", arguments="")
    manager.authManager.ValidateCredentialsInGuest(web, auth())
    with refused(vim.fault.InvalidGuestLogin):
        manager.authManager.ValidateCredentialsInGuest(web, auth(password="wrong"))
    with refused(vim.fault.GuestPermissionDenied, vim.fault.FileFault):
        manager.fileManager.InitiateFileTransferFromGuest(web, auth("ops", "ops"), "/etc/shadow")
    with refused(vim.fault.InvalidPowerState, vim.fault.GuestOperationsUnavailable):
        manager.processManager.StartProgramInGuest(server.vm("test01"), auth(), spec)
    with refused(vim.fault.GuestOperationsUnavailable, vim.fault.ToolsUnavailable):
        manager.processManager.StartProgramInGuest(server.vm("edge01"), auth(), spec)


@check("a guest with Windows")
def windows(server):
    vm = server.vm("dc01")
    same(vm.guest.guestFamily, "windowsGuest")
    login = auth("Administrator")
    done = run(server, vm, "C:\\Windows\\System32\\cmd.exe", "/c echo hi > C:\\Users\\Administrator\\out.txt", login)
    same(done.exitCode, 0)
    files = server.content.guestOperationsManager.fileManager
    info = files.InitiateFileTransferFromGuest(vm, login, "C:\\Users\\Administrator\\out.txt")
    assert fetched(server, info.url).strip() == b"hi"


def picture(body):
    """Width and height of a PNG, after its chunks have been checked."""
    same(body[:8], b"\x89PNG\r\n\x1a\n")
    at, size, pixels, last = 8, None, b"", b""
    while at < len(body):
        length, kind = struct.unpack(">I4s", body[at : at + 8])
        data = body[at + 8 : at + 8 + length]
        (crc,) = struct.unpack(">I", body[at + 8 + length : at + 12 + length])
        same(crc, zlib.crc32(kind + data), f"crc of {kind}")
        if kind == b"IHDR":
            size = struct.unpack(">IIBBBBB", data)
        elif kind == b"IDAT":
            pixels += data
        last, at = kind, at + 12 + length
    same(last, b"IEND")
    width, height, bits, colour = size[:4]
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    same(len(zlib.decompress(pixels)), height * (1 + (width * bits * channels + 7) // 8), "pixels")
    return width, height


@both("the screen is a PNG, whole and scaled; typed keys change it")
def screen(server):
    vm = server.vm("web01")
    status, headers, body = server.http("GET", f"/screen?id={vm._moId}")
    same((status, headers["Content-Type"]), (200, "image/png"))
    width, height = picture(body)
    assert width >= 640 and height >= 400, (width, height)
    same(picture(server.http("GET", f"/screen?id={vm._moId}&width=320&height=200")[2]), (320, 200))
    same(server.http("GET", f"/screen?id={vm._moId}", cookie=False)[0], 401)
    assert server.http("GET", f"/screen?id={server.vm('test01')._moId}")[0] >= 400
    assert server.http("GET", "/screen?id=4711")[0] >= 400
    keys = [vim.UsbScanCodeSpec.KeyEvent(usbHidCode=(code << 16) | 7) for code in (0x04, 0x05, 0x28)]
    same(vm.PutUsbScanCodes(vim.UsbScanCodeSpec(keyEvents=keys)), 3)
    assert server.http("GET", f"/screen?id={vm._moId}")[2] != body, "the screen is as before"
    with refused(vim.fault.InvalidPowerState, vmodl.fault.NotSupported):
        server.vm("test01").PutUsbScanCodes(vim.UsbScanCodeSpec(keyEvents=keys))


@check("a screenshot is written to the datastore")
def screenshot(server):
    path = server.wait(server.vm("web01").CreateScreenshot())
    store, file = path[1:].split("] ", 1)
    status, _, body = server.http("GET", server.folder(store, file))
    same(status, 200)
    picture(body)


@check("a ticket for the console")
def ticket(server):
    given = server.vm("web01").AcquireTicket("webmks")
    assert given.ticket and given.url is None or given.url.startswith("wss://"), given
