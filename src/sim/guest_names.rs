//! The names of guest operating systems.

/// Ids without `Guest` at the end, and the names that hosts show.
const GUESTS: &[(&str, &str)] = &[
    ("almalinux_64", "AlmaLinux (64-bit)"),
    ("amazonlinux2_64", "Amazon Linux 2 (64-bit)"),
    ("amazonlinux3_64", "Amazon Linux 3 (64-bit)"),
    ("asianux8_64", "Asianux 8 (64-bit)"),
    ("centos", "CentOS 4/5 (32-bit)"),
    ("centos64", "CentOS 4/5 (64-bit)"),
    ("centos6_64", "CentOS 6 (64-bit)"),
    ("centos7_64", "CentOS 7 (64-bit)"),
    ("centos8_64", "CentOS 8 (64-bit)"),
    ("centos9_64", "CentOS 9 (64-bit)"),
    ("coreos64", "CoreOS Linux (64-bit)"),
    ("crxPod1", "CRX Pod 1 (64-bit)"),
    ("crxSys1", "CRX System 1 (64-bit)"),
    ("darwin22_64", "Apple macOS 13 (64-bit)"),
    ("darwin23_64", "Apple macOS 14 (64-bit)"),
    ("debian10_64", "Debian GNU/Linux 10 (64-bit)"),
    ("debian11", "Debian GNU/Linux 11 (32-bit)"),
    ("debian11_64", "Debian GNU/Linux 11 (64-bit)"),
    ("debian12", "Debian GNU/Linux 12 (32-bit)"),
    ("debian12_64", "Debian GNU/Linux 12 (64-bit)"),
    ("debian13_64", "Debian GNU/Linux 13 (64-bit)"),
    ("debian8_64", "Debian GNU/Linux 8 (64-bit)"),
    ("debian9_64", "Debian GNU/Linux 9 (64-bit)"),
    ("dos", "Microsoft MS-DOS"),
    ("fedora", "Red Hat Fedora (32-bit)"),
    ("fedora64", "Red Hat Fedora (64-bit)"),
    ("freebsd", "FreeBSD Pre-11 versions (32-bit)"),
    ("freebsd64", "FreeBSD Pre-11 versions (64-bit)"),
    ("freebsd12_64", "FreeBSD 12 (64-bit)"),
    ("freebsd13_64", "FreeBSD 13 (64-bit)"),
    ("freebsd14_64", "FreeBSD 14 or later versions (64-bit)"),
    ("opensuse64", "SUSE openSUSE (64-bit)"),
    ("oracleLinux7_64", "Oracle Linux 7 (64-bit)"),
    ("oracleLinux8_64", "Oracle Linux 8 (64-bit)"),
    ("oracleLinux9_64", "Oracle Linux 9 (64-bit)"),
    ("other", "Other (32-bit)"),
    ("other64", "Other (64-bit)"),
    ("other24xLinux", "Other 2.4.x Linux (32-bit)"),
    ("other26xLinux", "Other 2.6.x Linux (32-bit)"),
    ("other26xLinux64", "Other 2.6.x Linux (64-bit)"),
    ("other3xLinux", "Other 3.x Linux (32-bit)"),
    ("other3xLinux64", "Other 3.x Linux (64-bit)"),
    ("other4xLinux", "Other 4.x Linux (32-bit)"),
    ("other4xLinux64", "Other 4.x Linux (64-bit)"),
    ("other5xLinux64", "Other 5.x Linux (64-bit)"),
    ("other6xLinux64", "Other 6.x or later Linux (64-bit)"),
    ("otherLinux", "Other Linux (32-bit)"),
    ("otherLinux64", "Other Linux (64-bit)"),
    ("rhel6_64", "Red Hat Enterprise Linux 6 (64-bit)"),
    ("rhel7_64", "Red Hat Enterprise Linux 7 (64-bit)"),
    ("rhel8_64", "Red Hat Enterprise Linux 8 (64-bit)"),
    ("rhel9_64", "Red Hat Enterprise Linux 9 (64-bit)"),
    ("rockylinux_64", "Rocky Linux (64-bit)"),
    ("sles11_64", "SUSE Linux Enterprise 11 (64-bit)"),
    ("sles12_64", "SUSE Linux Enterprise 12 (64-bit)"),
    ("sles15_64", "SUSE Linux Enterprise 15 (64-bit)"),
    ("solaris11_64", "Oracle Solaris 11 (64-bit)"),
    ("ubuntu", "Ubuntu Linux (32-bit)"),
    ("ubuntu64", "Ubuntu Linux (64-bit)"),
    ("vmkernel7", "VMware ESXi 7.x"),
    ("vmkernel8", "VMware ESXi 8.0 or later"),
    ("vmwarePhoton64", "VMware Photon OS (64-bit)"),
    ("windows2019srv_64", "Microsoft Windows Server 2019 (64-bit)"),
    ("windows2019srvNext_64", "Microsoft Windows Server 2022 (64-bit)"),
    ("windows2022srvNext_64", "Microsoft Windows Server 2025 (64-bit)"),
    ("windows7", "Microsoft Windows 7 (32-bit)"),
    ("windows7_64", "Microsoft Windows 7 (64-bit)"),
    ("windows7Server64", "Microsoft Windows Server 2008 R2 (64-bit)"),
    ("windows8Server64", "Microsoft Windows Server 2012 (64-bit)"),
    ("windows9", "Microsoft Windows 10 (32-bit)"),
    ("windows9_64", "Microsoft Windows 10 (64-bit)"),
    ("windows9Server64", "Microsoft Windows Server 2016 or later (64-bit)"),
    ("windows11_64", "Microsoft Windows 11 (64-bit)"),
    ("winXPPro", "Microsoft Windows XP Professional (32-bit)"),
];

/// The name of a guest; `None` for an id that no host knows.
///
/// An id of the schema's list that is not in the table here shows itself.
pub fn full_name(id: &str) -> Option<&str> {
    let stem = match id {
        "otherGuest64" => "other64",
        "freebsd64Guest" => "freebsd64",
        _ => id.strip_suffix("Guest").unwrap_or(id),
    };
    let stem = stem.replace("Guest64", "64");
    if let Some((_, name)) = GUESTS.iter().find(|it| it.0 == stem) {
        return Some(name);
    }
    let all = crate::vim::table::Type::find("VirtualMachineGuestOsIdentifier")?;
    all.values().any(|it| it == id).then_some(id)
}
