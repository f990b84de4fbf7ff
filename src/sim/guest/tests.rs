//! What a client of guest operations would notice, in the order in which clients ask.

use super::*;
use crate::vim::value::Value;

const NOW: u64 = INSTALLED + 1_000_000;

fn linux() -> Guest {
    let mut guest = Guest::linux("web01");
    guest.boot(NOW);
    guest
}

fn spec(path: &str, arguments: &str) -> Object {
    Object::new("GuestProgramSpec").with("programPath", path).with("arguments", arguments)
}

fn exit_code(guest: &mut Guest, pid: i64, now: u64) -> Option<i64> {
    guest.at(now).list_processes(&[pid]).first().and_then(|it| it.int("exitCode"))
}

/// Runs a line in a fresh shell and gives what it prints.
fn line(guest: &mut Guest, user: &str, line: &str) -> String {
    let user = guest.user(user).unwrap();
    guest.run_line(&mut Session::new(user), line)
}

fn kind<T: std::fmt::Debug>(answer: Result<T>) -> String {
    answer.unwrap_err().kind().to_owned()
}

#[test]
fn a_client_runs_a_command_and_reads_what_it_said() {
    let mut guest = linux();
    let auth = Object::new("NamePasswordAuthentication")
        .with("interactiveSession", false)
        .with("username", "ops")
        .with("password", "ops");
    let ops = guest.authenticate(&auth).unwrap();
    let folder = guest.make_temporary(ops, "jump-", "", None, true).unwrap();
    assert!(folder.starts_with("/tmp/jump-"), "{folder}");
    let arguments =
        format!("-c '(id; cat /etc/hostname; cat nothing; exit 3) > {folder}/out 2> {folder}/err'");
    let pid = guest.at(NOW).start_program(ops, &spec("/bin/sh", &arguments)).unwrap();
    assert_eq!(exit_code(&mut guest, pid, NOW), Some(3));
    let info = guest.list_processes(&[pid]).remove(0);
    assert_eq!(info.text("owner"), Some("ops"));
    assert_eq!(info.text("name"), Some("sh"));
    assert!(info.text("cmdLine").unwrap().starts_with("\"/bin/sh\" -c"));
    assert_eq!(info.text("endTime"), info.text("startTime"));
    let out = guest.read_file(ops, &format!("{folder}/out")).unwrap();
    assert_eq!(out, b"uid=1000(ops) gid=1000(ops) groups=1000(ops)\nweb01\n");
    let err = guest.read_file(ops, &format!("{folder}/err")).unwrap();
    assert_eq!(err, b"cat: nothing: No such file or directory\n");
    let told = guest.transfer_from(ops, &format!("{folder}/out"), "https://*/guestFile?id=1");
    assert_eq!(told.unwrap().int("size"), Some(51));
    assert_eq!(kind(guest.delete_directory(ops, &folder, false)), "DirectoryNotEmpty");
    guest.delete_directory(ops, &folder, true).unwrap();
    assert_eq!(kind(guest.list_files(ops, &folder, None, None, None)), "FileNotFound");
}

#[test]
fn redirections_in_the_arguments_work_since_a_shell_runs_the_program() {
    let mut guest = linux();
    let root = guest.user("root").unwrap();
    let wrapped = "-c \"/bin/echo \\\"a b\\\" ; ls /nope\" 1> /tmp/o 2> /tmp/e < /dev/null";
    let pid = guest.start_program(root, &spec("/bin/bash", wrapped)).unwrap();
    assert_eq!(exit_code(&mut guest, pid, NOW), Some(2));
    assert_eq!(guest.read_file(root, "/tmp/o").unwrap(), b"a b\n");
    assert!(guest.read_file(root, "/tmp/e").unwrap().starts_with(b"ls: cannot access '/nope'"));
    guest.start_program(root, &spec("/usr/bin/uname", "-r > /tmp/o")).unwrap();
    assert_eq!(guest.read_file(root, "/tmp/o").unwrap(), b"6.1.0-18-amd64\n");
}

#[test]
fn a_sleeping_program_is_seen_to_run_and_acts_in_its_time() {
    let mut guest = linux();
    let ops = guest.user("ops").unwrap();
    let run = spec("/bin/sh", "-c 'echo a > /tmp/x; sleep 5; echo b >> /tmp/x; exit 7'");
    let pid = guest.start_program(ops, &run).unwrap();
    assert_eq!(exit_code(&mut guest, pid, NOW + 4), None);
    assert_eq!(guest.read_file(ops, "/tmp/x").unwrap(), b"a\n");
    assert_eq!(exit_code(&mut guest, pid, NOW + 5), Some(7));
    assert_eq!(guest.read_file(ops, "/tmp/x").unwrap(), b"a\nb\n");
    assert_eq!(exit_code(&mut guest, pid, NOW + 304), Some(7));
    assert!(guest.at(NOW + 305).list_processes(&[pid]).is_empty(), "kept for five minutes only");
}

#[test]
fn a_killed_program_does_nothing_more() {
    let mut guest = linux();
    let (root, ops) = (guest.user("root").unwrap(), guest.user("ops").unwrap());
    let pid = guest.start_program(root, &spec("/bin/sh", "-c 'sleep 60; touch /tmp/y'")).unwrap();
    assert_eq!(kind(guest.terminate(ops, pid)), "GuestPermissionDenied");
    guest.at(NOW + 3).terminate(root, pid).unwrap();
    assert_eq!(exit_code(&mut guest, pid, NOW + 3), Some(143));
    assert_eq!(kind(guest.at(NOW + 100).read_file(root, "/tmp/y")), "FileNotFound");
    assert_eq!(kind(guest.terminate(root, pid)), "GuestProcessNotFound");
    assert_eq!(guest.terminate(root, 99_999).unwrap_err().detail.int("pid"), Some(99_999));
    line(&mut guest, "root", "kill 611");
    assert!(guest.list_processes(&[611]).is_empty(), "cron is ended");
    guest.boot(NOW + 500);
    assert_eq!(guest.list_processes(&[611]).len(), 1, "and back after a boot");
}

#[test]
fn who_may_not_is_told_so() {
    let mut guest = linux();
    let auth = |name: &str, password: &str, interactive: bool| {
        Object::new("NamePasswordAuthentication")
            .with("interactiveSession", interactive)
            .with("username", name)
            .with("password", password)
    };
    assert_eq!(kind(guest.authenticate(&auth("root", "wrong", false))), "InvalidGuestLogin");
    assert_eq!(kind(guest.authenticate(&auth("nobody", "", false))), "InvalidGuestLogin");
    assert_eq!(
        kind(guest.authenticate(&auth("root", "secret", true))),
        "GuestOperationsUnavailable"
    );
    let ticket = Object::new("SSPIAuthentication").with("interactiveSession", false);
    assert_eq!(kind(guest.authenticate(&ticket)), "OperationNotSupportedByGuest");
    let ops = guest.user("ops").unwrap();
    assert_eq!(kind(guest.make_directory(ops, "/etc/x", false)), "GuestPermissionDenied");
    assert_eq!(kind(guest.read_file(ops, "/etc/shadow")), "GuestPermissionDenied");
    assert_eq!(kind(guest.list_files(ops, "/root", None, None, None)), "GuestPermissionDenied");
    assert_eq!(kind(guest.delete_file(ops, "/etc/hostname")), "GuestPermissionDenied");
    let no_program = spec("/bin/nothing", "");
    assert_eq!(kind(guest.start_program(ops, &no_program)), "FileNotFound");
    assert_eq!(kind(guest.start_program(ops, &spec("/etc/hosts", ""))), "GuestPermissionDenied");
    let root = guest.user("root").unwrap();
    guest.write_file(root, "/tmp/mine", b"x", &Object::new("GuestFileAttributes")).unwrap();
    assert_eq!(kind(guest.delete_file(ops, "/tmp/mine")), "GuestPermissionDenied");
}

#[test]
fn files_are_made_moved_and_listed_by_the_page() {
    let mut guest = linux();
    let ops = guest.user("ops").unwrap();
    assert_eq!(kind(guest.make_directory(ops, "/tmp/a/b", false)), "FileNotFound");
    guest.make_directory(ops, "/tmp/a/b/", true).unwrap();
    assert_eq!(kind(guest.make_directory(ops, "/tmp/a/b", true)), "FileAlreadyExists");
    let mode = Object::new("GuestPosixFileAttributes")
        .with("permissions", 0o600i64)
        .with("modificationTime", "2026-02-03T04:05:06+01:00");
    for number in 0..7 {
        guest.write_file(ops, &format!("/tmp/a/f{number}.log"), b"12345", &mode).unwrap();
    }
    let page = guest.list_files(ops, "/tmp/a", Some(2), Some(3), Some("^f.*log$")).unwrap();
    assert_eq!(page.int("remaining"), Some(2));
    let names: Vec<_> = page.objects("files").filter_map(|it| it.text("path")).collect();
    assert_eq!(names, ["f2.log", "f3.log", "f4.log"]);
    let first = page.objects("files").next().unwrap();
    assert_eq!((first.text("type"), first.int("size")), (Some("file"), Some(5)));
    assert_eq!(first.int("attributes.permissions"), Some(384));
    assert_eq!(first.text("attributes.modificationTime"), Some("2026-02-03T03:05:06Z"));
    let all = guest.list_files(ops, "/tmp/a", None, None, None).unwrap();
    let names: Vec<_> = all.objects("files").filter_map(|it| it.text("path")).collect();
    assert_eq!(names[..4], [".", "..", "b", "f0.log"]);
    assert_eq!(
        kind(guest.move_file(ops, "/tmp/a/f0.log", "/tmp/a/f1.log", false)),
        "FileAlreadyExists"
    );
    guest.move_file(ops, "/tmp/a/f0.log", "/tmp/a/f1.log", true).unwrap();
    guest.move_directory(ops, "/tmp/a", "/home/ops/z").unwrap();
    assert_eq!(guest.read_file(ops, "/home/ops/z/f6.log").unwrap(), b"12345");
    assert_eq!(kind(guest.move_file(ops, "/home/ops/z", "/tmp/z", false)), "NotAFile");
    assert_eq!(kind(guest.delete_directory(ops, "/home/ops/notes.txt", true)), "NotADirectory");
    assert_eq!(kind(guest.list_files(ops, "/tmp", Some(-1), None, None)), "InvalidArgument");
    assert_eq!(kind(guest.delete_file(ops, "")), "InvalidArgument");
}

#[test]
fn an_upload_is_refused_before_it_is_sent_and_the_disk_fills() {
    let mut guest = linux();
    let ops = guest.user("ops").unwrap();
    guest.transfer_to(ops, "/tmp/new", 10, false).unwrap();
    assert_eq!(kind(guest.read_file(ops, "/tmp/new")), "FileNotFound");
    assert_eq!(kind(guest.transfer_to(ops, "/home/ops/notes.txt", 1, false)), "FileAlreadyExists");
    assert_eq!(kind(guest.transfer_to(ops, "/etc/new", 1, true)), "GuestPermissionDenied");
    assert_eq!(kind(guest.transfer_to(ops, "/tmp/new", 2 << 20, true)), "NoDiskSpace");
    assert_eq!(kind(guest.transfer_to(ops, "/tmp", 1, true)), "NotAFile");
    let (mib, none) = (vec![0; 1 << 20], Object::new("GuestFileAttributes"));
    let full = (0..20).map(|it| guest.write_file(ops, &format!("/tmp/{it}"), &mib, &none));
    let full: Vec<bool> = full.map(|it| it.is_ok()).collect();
    assert_eq!(full.iter().filter(|it| **it).count(), 15, "16 MB hold fifteen and the system");
    assert!(line(&mut guest, "ops", "cat /tmp/0 /tmp/1 > /tmp/0.copy").contains("No space left"));
    line(&mut guest, "ops", "rm /tmp/1*");
    guest.write_file(ops, "/tmp/19", &mib, &none).unwrap();
}

#[test]
fn the_shell_does_what_scripts_need() {
    let mut guest = linux();
    for (typed, printed) in [
        ("echo one; echo two && false || echo three", "one\ntwo\nthree\n"),
        ("X='a  b'; echo $X \"$X\" '$X' \\$X", "a b a  b $X $X\n"),
        ("cat /etc/passwd | grep -v nologin | wc -l", "2\n"),
        ("false; echo $?; (exit 4); echo $?", "1\n4\n"),
        ("foo", "bash: line 1: foo: command not found\n"),
        ("sh -c foo; echo $?", "sh: 1: foo: not found\n127\n"),
        ("[ -d /tmp ] && { echo a; echo b; } | tail -n 1", "b\n"),
        ("cd /var/log && pwd && ls", "/var/log\nauth.log\nsyslog\n"),
        ("(cd /tmp; pwd); pwd", "/tmp\n/home/ops\n"),
        ("ls nope 2>/dev/null; ls nope 2>&1 | wc -l", "1\n"),
        ("echo hidden > /etc/x", "bash: line 1: /etc/x: Permission denied\n"),
        ("./deploy.sh", "deploying on web01\n"),
        ("A=1 env | grep A=; printenv HOME", "A=1\n/home/ops\n"),
        ("echo \"$(whoami)@$(hostname)\"; echo ${NO:-else}", "ops@web01\nelse\n"),
        ("touch /tmp/q1 /tmp/q2; ls /tmp/q*; rm /tmp/q?; ls /tmp", "/tmp/q1\n/tmp/q2\n"),
        ("echo 'open", "bash: line 1: Syntax error: Unterminated quoted string\n"),
        ("echo a; )", "a\nbash: line 1: Syntax error\n"),
        (
            "ls -l /bin /home",
            "lrwxrwxrwx 1 root     root            7 Jan 05 06:00 /bin -> usr/bin\n/home:\ntotal 4\ndrwxr-x--- 1 ops      ops          4096 Jan 05 06:00 ops\n",
        ),
        ("uname -sr; date +%F; id -u", "Linux 6.1.0-18-amd64\n2026-01-16\n1000\n"),
    ] {
        assert_eq!(line(&mut guest, "ops", typed), printed, "{typed}");
    }
}

#[test]
fn a_console_keeps_its_folder_and_ends() {
    let mut guest = linux();
    assert!(guest.login("root", "secret") && !guest.login("root", "toor"));
    let mut session = Session::new(guest.user("root").unwrap());
    assert_eq!(guest.prompt(&session), "root@web01:~# ");
    assert_eq!(guest.run_line(&mut session, "cd /etc; X=5"), "");
    assert_eq!(guest.prompt(&session), "root@web01:/etc# ");
    assert_eq!(
        guest.run_line(&mut session, "cat hostname; echo $X; nope; echo $?").lines().count(),
        4
    );
    assert_eq!(guest.run_line(&mut session, "sleep 3; echo slept > /tmp/s; cat /tmp/s"), "slept\n");
    assert_eq!(line(&mut guest, "ops", "cat /tmp/s"), "slept\n");
    guest.run_line(&mut session, "exit");
    assert!(session.ended);
}

#[test]
fn windows_paths_and_cmd() {
    let mut guest = Guest::windows("WIN01");
    guest.boot(NOW);
    let user = guest.user("WIN01\\administrator").unwrap();
    let folder = guest.make_temporary(user, "j", "", None, true).unwrap();
    assert!(
        folder.starts_with("C:\\Users\\Administrator\\AppData\\Local\\Temp\\jvmware"),
        "{folder}"
    );
    let arguments = format!("/c \"echo hi there > {folder}\\out.txt 2>&1 & exit 5\"");
    let cmd = "c:\\windows\\SYSTEM32\\cmd.exe";
    let pid = guest.start_program(user, &spec(cmd, &arguments)).unwrap();
    assert_eq!(exit_code(&mut guest, pid, NOW), Some(5));
    let out = guest.read_file(user, &format!("{}\\OUT.TXT", folder.to_uppercase())).unwrap();
    assert_eq!(out, b"hi there\r\n");
    let info = guest.list_files(user, "C:\\Users", None, None, Some("^ops$")).unwrap();
    let first = info.objects("files").next().unwrap();
    assert_eq!(first.object("attributes").unwrap().kind(), "GuestWindowsFileAttributes");
    for (typed, printed) in [
        ("whoami", "win01\\ops\r\n"),
        ("type notes.txt", "Patch on the second Tuesday.\r\n"),
        ("cd \\Windows & cd", "C:\\Windows\r\n"),
        ("echo %USERNAME% \"q\" ^& x", "ops \"q\" & x\r\n"),
    ] {
        assert_eq!(line(&mut guest, "ops", typed), printed, "{typed}");
    }
    assert!(line(&mut guest, "ops", "foo").starts_with("'foo' is not recognized"));
    assert!(line(&mut guest, "ops", "ver").contains("Microsoft Windows"));
    let ops = guest.user("ops").unwrap();
    assert_eq!(guest.prompt(&Session::new(ops)), "C:\\Users\\ops>");
    assert!(guest.environment(ops, &["username"]).contains(&"USERNAME=ops".to_owned()));
}

#[test]
fn what_is_kept_comes_back() {
    let mut guest = linux();
    let ops = guest.user("ops").unwrap();
    assert!(crate::text::json::write_object(&guest.save()).len() < 4_000, "a fresh guest is small");
    let none = Object::new("GuestFileAttributes");
    guest.write_file(ops, "/tmp/bytes", &[0xff, 0, 0xfe], &none).unwrap();
    line(&mut guest, "root", "rm -rf /etc/nginx /var/www; echo new > /etc/motd");
    let pid = guest.start_program(ops, &spec("/bin/sh", "-c 'sleep 9; echo z > /tmp/z'")).unwrap();
    let text = crate::text::json::write_object(&guest.save());
    let Ok(crate::text::json::Value::Object(read)) = crate::text::json::parse(&text) else {
        panic!("no object: {text}");
    };
    let mut back = Guest::load(&read).unwrap();
    assert!(back == guest);
    assert_eq!(exit_code(&mut back, pid, NOW + 9), Some(0));
    assert_eq!(back.read_file(ops, "/tmp/z").unwrap(), b"z\n");
    assert!(Guest::load(&crate::text::json::Object::new()).is_none());
}

#[test]
fn nothing_typed_makes_it_hang_or_fall() {
    let mut guest = linux();
    let parens = "(".repeat(5_000);
    let nested = format!("{}true{}", "(".repeat(12), ")".repeat(12));
    let substituted = format!("echo {}x{}", "$(echo ".repeat(40), ")".repeat(40));
    let many = "echo x; ".repeat(1_000);
    for typed in [
        parens.as_str(),
        &nested,
        &substituted,
        &many,
        "",
        ";",
        ";;",
        "&&",
        "|",
        "a |",
        "> ",
        ">",
        "2>",
        "<",
        "if",
        "if true",
        "for",
        "for x in",
        "for x in a; do",
        "{",
        "}",
        "fi",
        "! !",
        "$",
        "${",
        "$(",
        "\\",
        "\"",
        "a=",
        "=",
        "((",
        "))",
        "&> x",
        "echo $(",
        "cat < /nope",
        "ln -s /tmp/l /tmp/l; cat /tmp/l",
        "sh -c 'sh $0' sh",
        "rm -rf / ; ls /",
        "mv / /tmp/x",
        "cd /tmp/../../..",
        "echo é > /tmp/ü; cat /tmp/ü; head -n",
        "sleep 99999999999999999999",
        "sleep",
        "[ ",
        "test",
        "%",
        "echo %a% ^",
        "echo 'echo again; sh /tmp/r.sh' > /tmp/r.sh; sh /tmp/r.sh",
    ] {
        line(&mut guest, "ops", typed);
        let user = guest.user("ops").unwrap();
        guest.start_program(user, &spec("/bin/sh", typed)).unwrap();
        let mut windows = Guest::windows("w");
        line(&mut windows, "ops", typed);
    }
    let value: Value = guest.at(u64::MAX).list_processes(&[]).into();
    assert!(value.items().len() > 5);
    line(&mut guest, "ops", "sleep 5; date");
}
