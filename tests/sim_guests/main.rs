//! Inside the simulated machines, as a client gets there: guest operations, file transfers, screen
//! and keyboard, serial ports.
//!
//! Everything goes over SOAP and HTTP in the process, written by hand; only serial ports are real
//! sockets. Every wait has a bound of five seconds.

#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use jumpvisor::sim::guests;
use jumpvisor::vim::value::Object;

use crate::host::{AUTH, FILES, Host, PATIENCE, PROCESSES};
use crate::host::{free_port, patient, tag, target, until, uri};

mod host;

#[test]
fn a_command_with_its_output() {
    let mut host = Host::new();
    let managers = host.simulator.world().first("GuestOperationsManager").unwrap();
    assert_eq!(managers.id, "ha-guest-operations-manager");
    host.guest(
        "GuestAuthManager ha-guest-operations-auth-manager",
        "ValidateCredentialsInGuest",
        "web01",
        "",
    );
    let made = host.guest(
        FILES,
        "CreateTemporaryDirectoryInGuest",
        "web01",
        "<prefix>jv</prefix><suffix></suffix>",
    );
    let folder = tag(&made, "returnval");
    assert!(folder.starts_with("/tmp/jv"), "{folder}");
    let pid =
        host.run("web01", &format!("-c 'hostname; sleep 5; exit 3' &gt;{folder}/out 2&gt;&amp;1"));
    let ask = format!("<pids>{pid}</pids>");
    let running = host.guest(PROCESSES, "ListProcessesInGuest", "web01", &ask);
    assert!(running.contains("<cmdLine>") && !running.contains("exitCode"), "{running}");
    host.wait(6);
    let ended = host.guest(PROCESSES, "ListProcessesInGuest", "web01", &ask);
    assert_eq!(tag(&ended, "exitCode"), "3");
    let path = format!("<guestFilePath>{folder}/out</guestFilePath>");
    let told = host.guest(FILES, "InitiateFileTransferFromGuest", "web01", &path);
    assert_eq!(tag(&told, "size"), "6");
    let url = target(&tag(&told, "url"));
    assert_eq!(host.http("GET", &url, b"", &[]), (200, b"web01\n".to_vec()));
    assert_eq!(host.http("GET", &url, b"", &[]).0, 404, "a URL is good once");
    let directory = format!("<directoryPath>{folder}</directoryPath><recursive>true</recursive>");
    host.guest(FILES, "DeleteDirectoryInGuest", "web01", &directory);
    let list = format!(
        "<vm type=\"VirtualMachine\">{}</vm>{AUTH}<filePath>{folder}</filePath>",
        host.vm("web01")
    );
    assert!(host.fault(FILES, "ListFilesInGuest", &list).contains("FileNotFoundFault"));
}

#[test]
fn every_other_operation_is_answered() {
    let mut host = Host::new();
    for (method, args, part) in [
        (
            "MakeDirectoryInGuest",
            "<directoryPath>/srv/a/b</directoryPath><createParentDirectories>true</createParentDirectories>",
            "",
        ),
        (
            "CreateTemporaryFileInGuest",
            "<prefix>x</prefix><suffix>.y</suffix><directoryPath>/srv/a</directoryPath>",
            ".y</returnval>",
        ),
        (
            "MoveDirectoryInGuest",
            "<srcDirectoryPath>/srv/a/b</srcDirectoryPath><dstDirectoryPath>/srv/c</dstDirectoryPath>",
            "",
        ),
        (
            "MoveFileInGuest",
            "<srcFilePath>/etc/motd</srcFilePath><dstFilePath>/srv/c/motd</dstFilePath><overwrite>false</overwrite>",
            "",
        ),
        (
            "ChangeFileAttributesInGuest",
            "<guestFilePath>/srv/c/motd</guestFilePath><fileAttributes xsi:type=\"GuestPosixFileAttributes\"><permissions>384</permissions></fileAttributes>",
            "",
        ),
        (
            "ListFilesInGuest",
            "<filePath>/srv/c</filePath><matchPattern>motd</matchPattern>",
            "<permissions>384</permissions>",
        ),
        ("DeleteFileInGuest", "<filePath>/srv/c/motd</filePath>", ""),
    ] {
        let told = host.guest(FILES, method, "web01", args);
        assert!(told.contains(part), "{method}: {told}");
    }
    let told =
        host.guest(PROCESSES, "ReadEnvironmentVariableInGuest", "web01", "<names>HOME</names>");
    assert!(told.contains(">HOME=/root<"), "{told}");
    let pid = host.run("web01", "-c 'sleep 600'");
    host.guest(PROCESSES, "TerminateProcessInGuest", "web01", &format!("<pid>{pid}</pid>"));
    let told =
        host.guest(PROCESSES, "ListProcessesInGuest", "web01", &format!("<pids>{pid}</pids>"));
    assert!(told.contains("<exitCode>"), "{told}");
    let told = host.guest(PROCESSES, "ListProcessesInGuest", "dc01", "");
    assert!(told.contains("svchost.exe"), "{told}");
    let auth = "GuestAuthManager ha-guest-operations-auth-manager";
    host.guest(auth, "ReleaseCredentialsInGuest", "web01", "");
    let vm = host.vm("web01");
    let args =
        format!("<vm type=\"VirtualMachine\">{vm}</vm>{}", AUTH.replace("auth", "requestedAuth"));
    assert!(
        host.fault(auth, "AcquireCredentialsInGuest", &args)
            .contains("OperationNotSupportedByGuest")
    );
}

#[test]
fn who_cannot_is_told_why() {
    let mut host = Host::new();
    let method = "ListProcessesInGuest";
    for (machine, fault) in [
        ("files01", "InvalidPowerStateFault"),
        ("build01", "InvalidPowerStateFault"),
        ("edge01", "GuestOperationsUnavailableFault"),
    ] {
        let args = format!("<vm type=\"VirtualMachine\">{}</vm>{AUTH}", host.vm(machine));
        assert!(host.fault(PROCESSES, method, &args).contains(fault), "{machine}");
    }
    let args = format!("<vm type=\"VirtualMachine\">{}</vm>{AUTH}", host.vm("web01"));
    let wrong = args.replace(">secret<", ">guess<");
    assert!(host.fault(PROCESSES, method, &wrong).contains("InvalidGuestLoginFault"));
    let gone = args.replace(&host.vm("web01"), "4711");
    assert!(host.fault(PROCESSES, method, &gone).contains("ManagedObjectNotFound"));
    host.call(&host.on("web01"), "ResetVM_Task", "");
    host.wait(1);
    assert!(host.fault(PROCESSES, method, &args).contains("GuestOperationsUnavailable"));
    host.wait(4);
    host.call(PROCESSES, method, &args);
    host.cookie.clear();
    host.login("viewer");
    assert!(host.fault(PROCESSES, method, &args).contains("NoPermissionFault"));
    let ticket = "<ticketType>webmks</ticketType>";
    assert!(host.fault(&host.on("web01"), "AcquireTicket", ticket).contains("NoPermissionFault"));
}

#[test]
fn a_file_that_is_sent_is_seen_at_the_console() {
    let mut host = Host::new();
    let args = "<guestFilePath>/tmp/hello</guestFilePath>\
                <fileAttributes xsi:type=\"GuestPosixFileAttributes\"><permissions>420</permissions></fileAttributes>\
                <fileSize>12</fileSize><overwrite>false</overwrite>";
    let told = host.guest(FILES, "InitiateFileTransferToGuest", "web01", args);
    let url = target(&tag(&told, "returnval"));
    assert_eq!(host.http("PUT", &url.replace("token=52", "token=53"), b"hello, world", &[]).0, 403);
    assert_eq!(host.http("GET", &url, b"", &[]).0, 405);
    assert_eq!(host.http("PUT", &url, b"too short", &[]).0, 400);
    assert_eq!(host.http("PUT", &url, b"hello, world", &[]).0, 200);
    assert_eq!(host.http("PUT", &url, b"hello, world", &[]).0, 404);
    assert!(host.screen("web01").ends_with("web01 login:"), "{}", host.screen("web01"));
    host.keys("web01", "root\nsecret\ncat /tmp/hello\n");
    let shown = host.screen("web01");
    assert!(
        shown.contains("cat /tmp/hello\nhello, world\n") && !shown.contains("secret"),
        "{shown}"
    );
    // What is done there is seen by guest operations, and a URL dies in ten minutes.
    host.keys("web01", "cd /srv\ntouch there\n");
    let told = host.guest(FILES, "ListFilesInGuest", "web01", "<filePath>/srv</filePath>");
    assert!(told.contains("<path>there</path>"), "{told}");
    let path = "<guestFilePath>/tmp/hello</guestFilePath>";
    let told = host.guest(FILES, "InitiateFileTransferFromGuest", "web01", path);
    let url = target(&tag(&told, "url"));
    host.wait(601);
    assert_eq!(host.http("GET", &url, b"", &[]).0, 404);
    // A reset ends the login, not the files.
    host.call(&host.on("web01"), "ResetVM_Task", "");
    host.wait(5);
    assert!(host.screen("web01").ends_with("web01 login:"));
    host.guest(FILES, "InitiateFileTransferFromGuest", "web01", path);
}

#[test]
fn pictures_of_the_screen() {
    let mut host = Host::new();
    let target = format!("/screen?id={}", host.vm("web01"));
    let (status, _) = host.http("GET", &target, b"", &[]);
    assert_eq!(status, 401);
    let basic = [("Authorization", "Basic cm9vdDpzZWNyZXQ=")];
    let (status, first) = host.http("GET", &target, b"", &basic);
    assert_eq!((status, &first[..8]), (200, &b"\x89PNG\r\n\x1a\n"[..]));
    host.keys("web01", "root");
    let cookie = host.cookie.clone();
    let (_, second) = host.http("GET", &target, b"", &[("Cookie", &cookie)]);
    assert!(second.starts_with(b"\x89PNG") && first != second);
    let size = |png: &[u8]| u32::from_be_bytes(png[16..20].try_into().unwrap());
    let (_, small) = host.http("GET", &format!("{target}&width=160"), b"", &basic);
    assert_eq!((size(&first), size(&small)), (640, 160));
    assert_eq!(host.http("GET", &format!("{target}&width=none"), b"", &basic).0, 400);
    assert_eq!(host.http("GET", &format!("/screen?id={}", host.vm("fw-lab")), b"", &basic).0, 500);
    assert_eq!(host.http("GET", "/screen?id=4711", b"", &basic).0, 404);
    let path = host.task(&host.on("web01"), "CreateScreenshot_Task");
    assert_eq!(path, "[datastore1] web01/web01-1.png");
    let file = host.simulator.world().files.all.get(&path).unwrap().clone();
    assert!(*file.content.unwrap() == second);
    assert!(host.screen("dc01").contains("Press Ctrl+Alt+Del"), "{}", host.screen("dc01"));
    let reset = "<spec><keyEvents><usbHidCode>4980743</usbHidCode><modifiers><leftControl>true\
                 </leftControl><leftAlt>true</leftAlt></modifiers></keyEvents></spec>";
    host.call(&host.on("dc01"), "PutUsbScanCodes", reset);
    host.keys("dc01", "secret\ncd /\nver\n");
    assert!(host.screen("dc01").contains("Administrator>ver"), "{}", host.screen("dc01"));
    host.call(&host.on("web01"), "PutUsbScanCodes", reset);
    assert!(host.screen("web01").ends_with("login:"), "Ctrl-Alt-Del boots a Linux guest");
    let bad = "<spec><keyEvents><usbHidCode>4</usbHidCode></keyEvents></spec>";
    assert!(host.fault(&host.on("web01"), "PutUsbScanCodes", bad).contains("spec.keyEvents[0]"));
    assert!(host.fault(&host.on("fw-lab"), "PutUsbScanCodes", reset).contains("InvalidPowerState"));
}

#[test]
fn tickets() {
    let mut host = Host::new();
    let on = host.on("web01");
    let told = host.call(&on, "AcquireTicket", "<ticketType>webmks</ticketType>");
    let ticket = tag(&told, "ticket");
    assert_eq!(tag(&told, "url"), format!("wss://esxi01.lab.example:443/ticket/{ticket}"));
    assert_eq!(tag(&told, "cfgFile"), "/vmfs/volumes/datastore1/web01/web01.vmx");
    assert_eq!(tag(&host.call(&on, "AcquireMksTicket", ""), "port"), "902");
    let wrong = host.fault(&on, "AcquireTicket", "<ticketType>vnc</ticketType>");
    assert!(wrong.contains("InvalidArgument"));
    host.call(&on, "SendNMI", "");
}

#[test]
fn a_serial_port_leads_to_the_appliance() {
    let mut host = Host::new();
    assert_eq!(host.serial_status("edge01"), "untried");
    let port = free_port();
    host.serial("edge01", uri(&format!("telnet://:{port}"), "server"));
    assert_eq!(host.serial_status("edge01"), "ok");
    let mut client = patient(TcpStream::connect(("127.0.0.1", port)).unwrap());
    client.write_all(b"\r").unwrap();
    until(&mut client, "Username: ");
    client.write_all(b"admin\radmin\rterminal length 0\rshow version\r").unwrap();
    until(&mut client, "Edge Router Software");
    // A reset prints the boot to who is there, a power-off ends the line and frees the port.
    host.task(&host.on("edge01"), "ResetVM_Task");
    until(&mut client, "Press RETURN");
    assert!(host.screen("edge01").contains("Console is on the serial port"));
    host.task(&host.on("edge01"), "PowerOffVM_Task");
    host.call("ServiceInstance ServiceInstance", "CurrentTime", "");
    assert_eq!(client.read(&mut [0; 64]).unwrap_or(0), 0);
    drop(TcpListener::bind(("127.0.0.1", port)).unwrap());
    assert_eq!(host.serial_status("edge01"), "untried");
    host.task(&host.on("edge01"), "PowerOnVM_Task");
    assert_eq!(host.serial_status("edge01"), "ok");
    patient(TcpStream::connect(("127.0.0.1", port)).unwrap());
    host.connect("edge01", false);
    assert_eq!(host.serial_status("edge01"), "untried");
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    host.connect("edge01", true);
    assert_eq!(host.serial_status("edge01"), "ok");
    // A port that is taken, and one that may not open sockets.
    host.serial("web02", uri(&format!("tcp://:{port}"), "server"));
    assert_eq!(host.serial_status("web02"), "unrecoverableError");
    host.simulator.world().guests.listen = None;
    host.simulator.world().touch();
    host.serial_status("edge01");
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn typing_and_switching_do_not_wait_for_each_other() {
    let mut host = Host::new();
    let port = free_port();
    host.serial("edge01", uri(&format!("telnet://:{port}"), "server"));
    host.serial_status("edge01");
    let typist = std::thread::spawn(move || {
        let began = Instant::now();
        let mut sessions = 0;
        while began.elapsed() < PATIENCE * 4 {
            let Ok(mut client) = TcpStream::connect(("127.0.0.1", port)) else {
                std::thread::sleep(Duration::from_millis(5));
                continue;
            };
            client.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
            sessions += 1;
            while client.write_all(b"\radmin\radmin\rshow running-config\r").is_ok() {
                match client.read(&mut [0; 4096]) {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(why) if why.kind() == std::io::ErrorKind::WouldBlock => {}
                    Err(_) => break,
                }
            }
            if sessions == 5 {
                return;
            }
        }
        panic!("only {sessions} sessions");
    });
    let began = Instant::now();
    while !typist.is_finished() {
        assert!(began.elapsed() < PATIENCE * 5);
        host.task(&host.on("edge01"), "ResetVM_Task");
        host.task(&host.on("edge01"), "PowerOffVM_Task");
        host.task(&host.on("edge01"), "PowerOnVM_Task");
        host.screen("edge01");
        std::thread::sleep(Duration::from_millis(30));
    }
    typist.join().unwrap();
}

#[test]
fn a_linux_guest_dials_and_has_a_login_of_its_own() {
    let mut host = Host::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    host.task(&host.on("web01"), "PowerOffVM_Task");
    host.serial("web01", uri(&format!("tcp://{address}"), "client"));
    host.task(&host.on("web01"), "PowerOnVM_Task");
    let mut client = patient(listener.accept().unwrap().0);
    let boot = until(&mut client, "web01 login: ");
    assert!(boot.contains("Linux version") && boot.contains("ttyS0"), "{boot}");
    client.write_all(b"ops\rops\recho from here >note\r").unwrap();
    until(&mut client, ">note\r\nops@web01:~$ ");
    let path = "<guestFilePath>/home/ops/note</guestFilePath>";
    host.wait(4);
    let told = host.guest(FILES, "InitiateFileTransferFromGuest", "web01", path);
    let (_, note) = host.http("GET", &target(&tag(&told, "url")), b"", &[]);
    assert_eq!(note, b"from here\n");
    assert_eq!(host.serial_status("web01"), "ok");
    drop((client, listener));
    let began = Instant::now();
    while host.serial_status("web01") != "recoverableError" {
        assert!(began.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_serial_port_writes_to_a_file() {
    let mut host = Host::new();
    let file = "[datastore1] web01/serial.log";
    let backing = Object::new("VirtualSerialPortFileBackingInfo").with("fileName", file);
    host.serial("web01", backing);
    host.task(&host.on("web01"), "ResetVM_Task");
    let world = host.simulator.world();
    let content = world.files.all.get(file).unwrap().content.clone().unwrap();
    assert!(String::from_utf8_lossy(&content).contains("Linux version"));
}

#[test]
fn insides_sleep_and_wake_with_their_files() {
    let mut host = Host::of(Some(100));
    let made = host.run("vm00001", "-c 'echo kept &gt;/srv/kept'");
    assert!(made > 0);
    let ids: Vec<String> =
        host.simulator.world().machines.values().map(|it| it.id.clone()).collect();
    for id in &ids {
        guests::inside(&mut host.simulator.world(), id).unwrap();
    }
    let args = "<guestFilePath>/srv/kept</guestFilePath>";
    host.guest(FILES, "InitiateFileTransferFromGuest", "vm00001", args);
    assert!(host.screen("vm00002").ends_with("vm00002 login:"));
}
