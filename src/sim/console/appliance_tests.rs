//! The appliance as somebody at its console meets it.

use super::*;

const NOW: u64 = 1_768_551_332;

struct Console(Appliance);

impl Console {
    /// What comes back, without carriage returns.
    fn type_in(&mut self, keys: &str) -> String {
        String::from_utf8(self.0.feed(keys.as_bytes(), NOW)).unwrap().replace('\r', "")
    }

    fn fresh() -> Console {
        let mut appliance = Appliance::new("edge01");
        let boot = String::from_utf8(appliance.boot(NOW - 90)).unwrap();
        assert!(
            boot.contains("Bootstrap") && boot.ends_with("Press RETURN to get started.\r\n\r\n")
        );
        Console(appliance)
    }

    fn enabled() -> Console {
        let mut console = Console::fresh();
        assert!(console.type_in("\radmin\radmin\r").ends_with("\nedge01>"));
        assert!(console.type_in("enable\rterminal length 0\r").ends_with("\nedge01#"));
        console
    }
}

#[test]
fn login_shows_the_banner_and_never_the_password() {
    let mut console = Console::fresh();
    assert_eq!(console.type_in("abc"), "");
    let shown = console.type_in("\r");
    assert!(shown.contains("Authorized access only") && shown.ends_with("Username: "), "{shown}");
    assert_eq!(console.type_in("admin\r\n"), "admin\nPassword: ");
    assert_eq!(console.type_in("admin\r\n"), "\n\nedge01>");
    let bye = console.type_in("exit\n");
    assert!(bye.contains("edge01 con0 is now available"), "{bye}");
}

#[test]
fn three_wrong_passwords_bring_a_pause() {
    let mut console = Console::fresh();
    let shown = console.type_in("\ra\rb\ra\rb\ra\rb\r");
    assert_eq!(shown.matches("% Login invalid").count(), 3);
    assert!(shown.contains("wait 5 seconds"));
    assert_eq!(console.type_in("admin\radmin\r"), "");
    assert_eq!(console.0.feed(b"\r", NOW + 6), b"Username: ");
}

#[test]
fn what_is_configured_shows_and_is_lost_by_a_reload_unless_written() {
    let mut console = Console::enabled();
    let shown = console.type_in(
        "conf t\rhostname lab-fw\rint gi0/2\rip addr 10.7.0.1 255.255.255.0\rdesc to the lab\rno shut\r",
    );
    assert!(
        shown.contains("\nedge01(config)#hostname lab-fw\nlab-fw(config)#int gi0/2\n"),
        "{shown}"
    );
    assert!(shown.contains("GigabitEthernet0/2, changed state to up"), "{shown}");
    assert!(shown.ends_with("lab-fw(config-if)#"));
    assert!(
        console
            .type_in("do sh run | inc 10.7\r")
            .contains("\n ip address 10.7.0.1 255.255.255.0\n")
    );
    assert!(console.type_in("exit\rexit\r").ends_with("Configured from console by admin\nlab-fw#"));
    let running = console.type_in("show running-config\r");
    assert!(running.contains("\n description to the lab\n ip address 10.7.0.1"), "{running}");
    assert!(console.type_in("sh ip ro\r").contains("C    10.7.0.0/24 is directly connected, Gig"));
    assert!(console.type_in("show startup-config\r").contains("hostname edge01"));

    let asked = console.type_in("reload\r");
    assert!(asked.ends_with("Save? [yes/no]: "), "{asked}");
    assert!(console.type_in("no\r").ends_with("Proceed with reload? [confirm]"));
    assert!(console.type_in("\r").contains("System Bootstrap"));
    assert!(console.type_in("\radmin\radmin\r").ends_with("edge01>"), "the old name is back");

    console.type_in("enable\rconf t\rhostname kept\rend\r");
    assert!(
        console.type_in("copy run start\r").ends_with("Destination filename [startup-config]? ")
    );
    assert!(console.type_in("\r").contains("[OK]\nkept#"));
    assert!(console.type_in("reload\rn").ends_with("[confirm]\nkept#"), "any other key leaves it");
    assert!(console.type_in("reload\r\r\radmin\radmin\r").ends_with("kept>"));
}

#[test]
fn long_answers_wait_for_a_key() {
    let mut console = Console::enabled();
    console.type_in("terminal length 10\r");
    let first = console.type_in("show running-config\r");
    assert!(first.ends_with("\n --More-- ") && first.lines().count() == 11, "{first}");
    let erase = format!("{0}{1}{0}", "\u{8}".repeat(10), " ".repeat(10));
    let one = console.type_in("\r\n");
    assert!(one.starts_with(&erase) && one.matches('\n').count() == 1, "{one:?}");
    assert_eq!(console.type_in(" ").matches('\n').count(), 9);
    assert_eq!(console.type_in("q"), format!("{erase}edge01#"));
    let all = console.type_in("terminal length 0\rshow running-config\r");
    assert!(all.ends_with("!\nend\nedge01#") && !all.contains("More"));
}

#[test]
fn mistakes_are_pointed_at() {
    let mut console = Console::enabled();
    let shown = console.type_in("show bogus\r");
    assert_eq!(
        shown,
        "show bogus\n            ^\n% Invalid input detected at '^' marker.\n\nedge01#"
    );
    assert!(console.type_in("e\r").contains("% Ambiguous command:  \"e\""));
    assert!(console.type_in("show\r").contains("% Incomplete command."));
    assert_eq!(console.type_in("sh ver\x03"), "sh ver^C\nedge01#");
    let help = console.type_in("show ?");
    assert!(help.contains("\n  version          Hardware") && help.ends_with("\nedge01#show "));
    assert!(console.type_in("clo\t\r").contains("UTC Fri Jan 16 2026"));
}

#[test]
fn other_shows() {
    let mut console = Console::enabled();
    assert!(console.type_in("show version\r").contains("edge01 uptime is 1 minute\n"));
    assert!(console.type_in("sh int gi0/1\r").contains("Description: servers"));
    assert!(console.type_in("sh int gi0/9\r").contains("% Invalid interface"));
    assert!(console.type_in("ping 192.0.2.9\r").contains("!!!!!"));
    assert!(console.type_in("ping nowhere\r").contains("% Unrecognized host"));
}

#[test]
fn a_secret_guards_enable() {
    let mut console = Console::enabled();
    console.type_in("conf t\renable secret up\rend\rdisable\r");
    assert_eq!(console.type_in("enable\r"), "enable\nPassword: ");
    assert_eq!(console.type_in("x\rup\r"), "\nPassword: \nedge01#");
}

#[test]
fn the_state_outlives_the_process() {
    let mut console = Console::enabled();
    console.type_in("conf t\rhostname one\rend\rwr\rconf t\rhostname two\rend\r");
    let saved = console.0.save();
    let mut again = Console(Appliance::new("other"));
    again.0.load(&saved);
    assert_eq!(again.0.save(), saved);
    assert!(again.type_in("\radmin\radmin\r").ends_with("two>"), "logged out, not reloaded");
    again.0.boot(NOW);
    assert!(again.type_in("\radmin\radmin\r").ends_with("one>"));
    again.0.load("nonsense");
    assert!(again.type_in("show clock\r").contains("UTC"), "nonsense is passed over");
}

#[test]
fn any_bytes_are_survived() {
    let mut console = Console::enabled();
    let mut seed = 7u32;
    for _ in 0..2000 {
        let junk: Vec<u8> = (0..40)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                b"\x1b[A\x08\x15\r?\t no ip conf t banner ^ reload \xff\xc3"
                    [usize::try_from(seed >> 16).unwrap() % 40]
            })
            .collect();
        assert!(console.0.feed(&junk, NOW).len() < 1 << 20);
    }
}
