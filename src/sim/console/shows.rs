//! What the simulated appliance shows of itself.
//!
//! Counters are made from the time since it started: they move, and nothing is kept for them.

use crate::sim::console::settings::Interface;
use crate::sim::console::settings::Settings;
use crate::sim::console::settings::dotted;
use crate::text::time;
use std::time::{Duration, UNIX_EPOCH};

/// What the software calls itself.
pub const SOFTWARE: &str = "Edge Router Software, Version 4.2.7, RELEASE";

/// Printed before the first login.
pub const BOOT: &str = "\n\nSystem Bootstrap, Version 2.1\nMemory test: 2048 MB ... passed\n\
Loading edge-4.2.7.bin: ################################ [OK]\n\nEdge Router Software, Version 4.2.7, \
RELEASE\nFound 4 network interfaces\nMounting flash: ... done\nChecking licence ... done\n";

/// `show version`
pub fn version(settings: &Settings, up: u64) -> String {
    format!(
        "{SOFTWARE}\nBootstrap: System Bootstrap, Version 2.1\n\n{} uptime is {}\n\
         System image file is \"flash:edge-4.2.7.bin\"\n\n\
         Virtual edge router with 2048 MB of memory\n{} Gigabit Ethernet interfaces\n\
         Configuration register is 0x2102\n",
        settings.hostname,
        uptime(up),
        settings.interfaces.iter().filter(|it| it.name.starts_with('G')).count(),
    )
}

/// `1 day, 2 hours, 3 minutes`
fn uptime(up: u64) -> String {
    let mut parts = Vec::new();
    for (count, word) in
        [(up / 604_800, "week"), (up / 86_400 % 7, "day"), (up / 3600 % 24, "hour")]
    {
        if count > 0 {
            parts.push(plural(count, word));
        }
    }
    parts.push(plural(up / 60 % 60, "minute"));
    parts.join(", ")
}

fn plural(count: u64, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

/// `show clock`
pub fn clock(now: u64) -> String {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let now = now.min(253_402_300_799);
    let text = time::rfc3339(UNIX_EPOCH + Duration::from_secs(now));
    let part = |from, to| text.get(from..to).unwrap_or_default();
    let month = part(5, 7).parse::<usize>().unwrap_or(1).saturating_sub(1) * 3;
    let day = DAYS[usize::try_from(now / 86_400 % 7).unwrap_or(0)];
    let (year, month) = (part(0, 4), MONTHS.get(month..month + 3).unwrap_or_default());
    format!(
        "{}.000 UTC {day} {month} {} {year}\n",
        part(11, 19),
        part(8, 10).trim_start_matches('0')
    )
}

/// `show interfaces`, of one or all.
pub fn interfaces(chosen: &[&Interface], up: u64) -> String {
    let mut text = String::new();
    for (number, interface) in (1..).zip(chosen) {
        let loopback = interface.name.starts_with('L');
        let state = match interface.shutdown {
            true => "administratively down, line protocol is down",
            false => "up, line protocol is up",
        };
        text.push_str(&format!("{} is {state}\n", interface.name));
        let port = interface.name.rsplit('/').next().unwrap_or_default();
        text.push_str(&match loopback {
            true => "  Hardware is Loopback\n".to_owned(),
            false => format!("  Hardware is Gigabit Ethernet, address is 0200.5e00.000{port}\n"),
        });
        if !interface.description.is_empty() {
            text.push_str(&format!("  Description: {}\n", interface.description));
        }
        if let Some((ip, mask)) = interface.address {
            let bits = mask.leading_ones();
            text.push_str(&format!("  Internet address is {}/{bits}\n", dotted(ip)));
        }
        let packets = if interface.shutdown || loopback { 0 } else { up * (9 + number * 4) };
        text.push_str(&format!(
            "  MTU 1500 bytes, BW 1000000 Kbit/sec, DLY 10 usec\n     {packets} packets input, {} \
             bytes, 0 no buffer\n     0 input errors, 0 CRC, 0 frame, 0 overrun\n     {} packets \
             output, {} bytes, 0 underruns\n",
            packets * 412,
            packets / 3 * 2,
            packets / 3 * 2 * 655,
        ));
    }
    text
}

/// `show ip interface brief`
pub fn brief(settings: &Settings) -> String {
    let mut text =
        format!("{:27}{:16}OK? Method {:22}Protocol\n", "Interface", "IP-Address", "Status");
    for interface in &settings.interfaces {
        let ip = interface.address.map_or("unassigned".to_owned(), |it| dotted(it.0));
        let (method, status, line) = match (&interface.address, interface.shutdown) {
            (Some(_), false) => ("manual", "up", "up"),
            (None, false) => ("unset", "up", "up"),
            (address, true) => {
                (address.map_or("unset", |_| "manual"), "administratively down", "down")
            }
        };
        text.push_str(&format!("{:27}{ip:16}YES {method:7}{status:22}{line}\n", interface.name));
    }
    text
}

/// Networks of interfaces that are up: address, mask, name.
fn connected(settings: &Settings) -> impl Iterator<Item = (u32, u32, &str)> {
    let up = settings.interfaces.iter().filter(|it| !it.shutdown);
    up.filter_map(|it| it.address.map(|(ip, mask)| (ip, mask, it.name.as_str())))
}

/// Whether packets for this address have somewhere to go.
pub fn reaches(settings: &Settings, to: u32) -> bool {
    let near = |to: u32| connected(settings).any(|(ip, mask, _)| to & mask == ip & mask);
    near(to) || settings.routes.iter().any(|it| to & it.1 == it.0 && near(it.2))
}

/// `show ip route`
pub fn routes(settings: &Settings) -> String {
    let mut text =
        "Codes: C - connected, L - local, S - static, * - candidate default\n\n".to_owned();
    let usable =
        |gateway: u32| connected(settings).any(|(ip, mask, _)| gateway & mask == ip & mask);
    let default = settings.routes.iter().find(|it| it.1 == 0 && usable(it.2));
    text.push_str(&match default {
        Some(it) => format!("Gateway of last resort is {} to network 0.0.0.0\n\n", dotted(it.2)),
        None => "Gateway of last resort is not set\n\n".to_owned(),
    });
    for (network, mask, gateway) in settings.routes.iter().filter(|it| usable(it.2)) {
        let (star, bits) = (if *mask == 0 { '*' } else { ' ' }, mask.leading_ones());
        let (network, gateway) = (dotted(*network), dotted(*gateway));
        text.push_str(&format!("S{star}   {network}/{bits} [1/0] via {gateway}\n"));
    }
    for (ip, mask, name) in connected(settings) {
        let (network, bits, ip) = (dotted(ip & mask), mask.leading_ones(), dotted(ip));
        text.push_str(&format!("C    {network}/{bits} is directly connected, {name}\n"));
        text.push_str(&format!("L    {ip}/32 is directly connected, {name}\n"));
    }
    text
}

/// `ping`; it knows addresses only.
pub fn ping(settings: &Settings, host: &str) -> String {
    let Ok(address) = host.parse::<std::net::Ipv4Addr>() else {
        return "% Unrecognized host or address, or protocol not running.\n".to_owned();
    };
    let (marks, result) = match reaches(settings, address.to_bits()) {
        true => ("!!!!!", "100 percent (5/5), round-trip min/avg/max = 1/1/3 ms"),
        false => (".....", "0 percent (0/5)"),
    };
    format!(
        "Type escape sequence to abort.\nSending 5, 100-byte ICMP Echos to {address}, timeout is 2 \
         seconds:\n{marks}\nSuccess rate is {result}\n"
    )
}

/// `| include word`, `exclude`, `begin`.
pub fn filtered(text: &str, filter: Option<&str>) -> String {
    let Some((how, what)) = filter.and_then(|it| it.trim().split_once(' ')) else {
        return text.to_owned();
    };
    let (mut begun, what) = (false, what.trim());
    let keep = |line: &&str| {
        let has = line.contains(what);
        begun |= has;
        match how.as_bytes().first() {
            Some(b'i') => has,
            Some(b'e') => !has,
            _ => begun,
        }
    };
    text.split_inclusive('\n').filter(keep).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_told() {
        assert_eq!(clock(1_768_551_332), "08:15:32.000 UTC Fri Jan 16 2026\n");
        assert_eq!(clock(u64::MAX).len(), 33, "no overflow");
        assert_eq!(uptime(0), "0 minutes");
        assert_eq!(uptime(694_861), "1 week, 1 day, 1 hour, 1 minute");
    }

    #[test]
    fn a_route_needs_a_living_interface() {
        let mut settings = Settings::parse(
            "interface gi0/0\nip address 10.0.0.1 255.255.255.0\nip route 0.0.0.0 0.0.0.0 10.0.0.254",
        );
        assert!(
            routes(&settings).contains("S*   0.0.0.0/0 [1/0] via 10.0.0.254\nC    10.0.0.0/24")
        );
        assert!(ping(&settings, "203.0.113.9").contains("100 percent"));
        settings.interfaces[0].shutdown = true;
        assert!(routes(&settings).contains("not set"));
        assert!(ping(&settings, "203.0.113.9").contains("0 percent (0/5)"));
        assert!(brief(&settings).contains("administratively down down"));
    }
}
