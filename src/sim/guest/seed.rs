//! What is in a guest that was just installed: users, files, running services. Only data.

/// One who may log in.
#[derive(Debug, PartialEq, Eq)]
pub struct User {
    pub name: &'static str,
    pub password: &'static str,
    /// 0 may do everything.
    pub id: u32,
    /// In the tree's inner form.
    pub home: &'static str,
}

/// Who may log in to a Linux guest.
pub const LINUX_USERS: &[User] = &[
    User { name: "root", password: "secret", id: 0, home: "/root" },
    User { name: "ops", password: "ops", id: 1000, home: "/home/ops" },
];

/// Who may log in to a Windows guest.
pub const WINDOWS_USERS: &[User] = &[
    User { name: "Administrator", password: "secret", id: 0, home: "/C:/Users/Administrator" },
    User { name: "ops", password: "ops", id: 1000, home: "/C:/Users/ops" },
];

/// Accounts of services, which own files and processes.
pub const SERVICES: &[(u32, &str)] = &[(33, "www-data"), (101, "messagebus"), (104, "syslog")];

/// Path, mode, owner, content; without content it is a directory, with `-> ` a link. `{host}` is
/// the name of the guest.
pub type File = (&'static str, u32, u32, Option<&'static str>);

/// The files of a Linux guest, besides its programs.
pub const LINUX_FILES: &[File] = &[
    ("/boot", 0o755, 0, None),
    ("/dev", 0o755, 0, None),
    ("/etc", 0o755, 0, None),
    ("/etc/cron.d", 0o755, 0, None),
    ("/etc/cron.d/sysstat", 0o644, 0, Some("5-55/10 * * * * root command -v debian-sa1\n")),
    ("/etc/fstab", 0o644, 0, Some("/dev/sda1 / ext4 errors=remount-ro 0 1\n")),
    ("/etc/group", 0o644, 0, Some("root:x:0:\nwww-data:x:33:\nsyslog:x:104:\nops:x:1000:\n")),
    ("/etc/hostname", 0o644, 0, Some("{host}\n")),
    ("/etc/hosts", 0o644, 0, Some("127.0.0.1 localhost\n127.0.1.1 {host}\n")),
    ("/etc/localtime", 0o777, 0, Some("-> /usr/share/zoneinfo/Etc/UTC")),
    ("/etc/motd", 0o644, 0, Some("A simulated guest: nothing here is real.\n")),
    ("/etc/nginx", 0o755, 0, None),
    (
        "/etc/nginx/nginx.conf",
        0o644,
        0,
        Some(
            "user www-data;\nworker_processes auto;\npid /run/nginx.pid;\nevents { worker_connections 768; }\n",
        ),
    ),
    (
        "/etc/os-release",
        0o644,
        0,
        Some(
            "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nVERSION=\"12 (bookworm)\"\nVERSION_CODENAME=bookworm\nID=debian\n",
        ),
    ),
    (
        "/etc/passwd",
        0o644,
        0,
        Some(
            "root:x:0:0:root:/root:/bin/bash\nwww-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\nmessagebus:x:101:101::/nonexistent:/usr/sbin/nologin\nsyslog:x:104:104::/nonexistent:/usr/sbin/nologin\nops:x:1000:1000:Operations:/home/ops:/bin/bash\n",
        ),
    ),
    ("/etc/resolv.conf", 0o644, 0, Some("nameserver 192.0.2.53\n")),
    ("/etc/shadow", 0o640, 0, Some("root:!:20000:0:99999:7:::\nops:!:20000:0:99999:7:::\n")),
    ("/etc/ssh", 0o755, 0, None),
    ("/etc/ssh/sshd_config", 0o644, 0, Some("Port 22\nPermitRootLogin no\n")),
    ("/home", 0o755, 0, None),
    ("/home/ops", 0o750, 1000, None),
    ("/home/ops/.bashrc", 0o644, 1000, Some("export EDITOR=vi\n")),
    (
        "/home/ops/notes.txt",
        0o644,
        1000,
        Some("Reload nginx after each change of its certificate.\n"),
    ),
    ("/home/ops/deploy.sh", 0o755, 1000, Some("#!/bin/sh\necho deploying on $(hostname)\n")),
    ("/opt", 0o755, 0, None),
    ("/root", 0o700, 0, None),
    ("/root/.bashrc", 0o644, 0, Some("umask 022\n")),
    ("/run", 0o755, 0, None),
    ("/run/nginx.pid", 0o644, 0, Some("702\n")),
    ("/srv", 0o755, 0, None),
    ("/tmp", 0o1777, 0, None),
    ("/usr", 0o755, 0, None),
    ("/usr/bin", 0o755, 0, None),
    ("/usr/local", 0o755, 0, None),
    ("/usr/local/bin", 0o755, 0, None),
    ("/usr/sbin", 0o755, 0, None),
    ("/usr/share", 0o755, 0, None),
    ("/bin", 0o777, 0, Some("-> usr/bin")),
    ("/sbin", 0o777, 0, Some("-> usr/sbin")),
    ("/var", 0o755, 0, None),
    ("/var/log", 0o755, 0, None),
    (
        "/var/log/auth.log",
        0o640,
        104,
        Some("Jan  5 06:00:09 {host} sshd[640]: Server listening on 0.0.0.0 port 22.\n"),
    ),
    (
        "/var/log/syslog",
        0o644,
        104,
        Some(
            "Jan  5 06:00:01 {host} kernel: Linux version 6.1.0-18-amd64\nJan  5 06:00:04 {host} systemd[1]: Hostname set to <{host}>.\nJan  5 06:00:09 {host} systemd[1]: Started ssh.service - OpenBSD Secure Shell server.\nJan  5 06:00:10 {host} systemd[1]: Started nginx.service - A high performance web server.\nJan  5 06:00:10 {host} systemd[1]: Reached target multi-user.target - Multi-User System.\n",
        ),
    ),
    ("/var/run", 0o777, 0, Some("-> /run")),
    ("/var/tmp", 0o1777, 0, None),
    ("/var/www", 0o755, 0, None),
    ("/var/www/html", 0o755, 33, None),
    ("/var/www/html/index.html", 0o644, 33, Some("<h1>{host}</h1>\n")),
];

/// The files of a Windows guest, besides its programs.
pub const WINDOWS_FILES: &[File] = &[
    ("/C:", 0o755, 0, None),
    ("/C:/Program Files", 0o755, 0, None),
    ("/C:/Program Files/VMware", 0o755, 0, None),
    ("/C:/Temp", 0o777, 0, None),
    ("/C:/Users", 0o755, 0, None),
    ("/C:/Users/Administrator", 0o700, 0, None),
    ("/C:/Users/Administrator/AppData", 0o700, 0, None),
    ("/C:/Users/Administrator/AppData/Local", 0o700, 0, None),
    ("/C:/Users/Administrator/AppData/Local/Temp", 0o700, 0, None),
    ("/C:/Users/ops", 0o700, 1000, None),
    ("/C:/Users/ops/AppData", 0o700, 1000, None),
    ("/C:/Users/ops/AppData/Local", 0o700, 1000, None),
    ("/C:/Users/ops/AppData/Local/Temp", 0o700, 1000, None),
    ("/C:/Users/ops/notes.txt", 0o644, 1000, Some("Patch on the second Tuesday.\r\n")),
    ("/C:/Windows", 0o755, 0, None),
    ("/C:/Windows/System32", 0o755, 0, None),
    ("/C:/Windows/System32/drivers", 0o755, 0, None),
    ("/C:/Windows/System32/drivers/etc", 0o755, 0, None),
    ("/C:/Windows/System32/drivers/etc/hosts", 0o644, 0, Some("127.0.0.1 localhost\r\n")),
    ("/C:/Windows/System32/WindowsPowerShell", 0o755, 0, None),
    ("/C:/Windows/System32/WindowsPowerShell/v1.0", 0o755, 0, None),
    (
        "/C:/Windows/System32/WindowsPowerShell/v1.0/powershell.exe",
        0o755,
        0,
        Some(crate::sim::guest::shell::PROGRAM),
    ),
    ("/C:/Windows/Temp", 0o777, 0, None),
    ("/C:/Windows/win.ini", 0o644, 0, Some("; for 16-bit app support\r\n[fonts]\r\n")),
];

/// Pid, owner, command line of what runs after boot.
pub type Service = (i64, &'static str, &'static str);

/// What runs in a Linux guest.
pub const LINUX_SERVICES: &[Service] = &[
    (1, "root", "/sbin/init"),
    (2, "root", "[kthreadd]"),
    (315, "root", "/lib/systemd/systemd-journald"),
    (344, "root", "/lib/systemd/systemd-udevd"),
    (602, "messagebus", "/usr/bin/dbus-daemon --system --nofork"),
    (611, "root", "/usr/sbin/cron -f"),
    (618, "root", "/usr/bin/vmtoolsd"),
    (625, "syslog", "/usr/sbin/rsyslogd -n -iNONE"),
    (640, "root", "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups"),
    (671, "root", "/sbin/agetty -o -p -- \\u --keep-baud 115200,57600,38400,9600 ttyS0 vt220"),
    (702, "root", "nginx: master process /usr/sbin/nginx -g daemon on; master_process on;"),
    (703, "www-data", "nginx: worker process"),
];

/// What runs in a Windows guest.
pub const WINDOWS_SERVICES: &[Service] = &[
    (4, "NT AUTHORITY\\SYSTEM", "System"),
    (368, "NT AUTHORITY\\SYSTEM", "smss.exe"),
    (548, "NT AUTHORITY\\SYSTEM", "C:\\Windows\\System32\\wininit.exe"),
    (676, "NT AUTHORITY\\SYSTEM", "C:\\Windows\\System32\\services.exe"),
    (692, "NT AUTHORITY\\SYSTEM", "C:\\Windows\\System32\\lsass.exe"),
    (816, "NT AUTHORITY\\SYSTEM", "C:\\Windows\\System32\\svchost.exe -k DcomLaunch -p"),
    (2104, "NT AUTHORITY\\SYSTEM", "C:\\Program Files\\VMware\\VMware Tools\\vmtoolsd.exe"),
];
