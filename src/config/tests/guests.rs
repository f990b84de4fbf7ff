//! Guest credentials and the folders of files, good and bad.

use std::path::Path;

use crate::config::tests::{SECRET, World};

#[test]
fn guest_credentials_come_in_pairs_from_wherever_a_secret_may() {
    let mut world = World::new(&[
        ("GUEST_CRED_web_USER", "ops"),
        ("GUEST_CRED_DB_USER", "sa"),
        ("GUEST_CRED_a_b_USER", "x"),
        ("GUEST_CRED_a_b_PASSWORD_SECRET_PATH", "secret"),
        ("FILES_ROOT", "/srv/a:/srv/b:"),
        ("URL_HOSTS", "files.lab, 10.0.0.0/8"),
    ]);
    world.file("secret", "pa ss\n");
    world.file(".env", "GUEST_CRED_web_PASSWORD=hunter2\n");
    world.credential("guest_cred_db_password", "hunter2");
    let config = world.good();
    let known: Vec<(&str, &str, &str)> = config
        .guest_logins
        .iter()
        .map(|it| (it.name.as_str(), it.user.as_str(), it.password.reveal()))
        .collect();
    assert_eq!(known, [("db", "sa", SECRET), ("a_b", "x", "pa ss"), ("web", "ops", SECRET)]);
    assert_eq!(config.files_root.unwrap(), [Path::new("/srv/a"), Path::new("/srv/b")]);
    assert_eq!(config.url_hosts.unwrap(), ["files.lab", "10.0.0.0/8"]);
    assert_eq!(World::new(&[("URL_HOSTS", "none")]).good().url_hosts.unwrap(), ["none"]);
    assert_eq!(World::new(&[("URL_HOSTS", "")]).good().url_hosts, None);
    let shown: Vec<&str> = config
        .found
        .iter()
        .filter(|it| it.name.contains("_PASSWORD"))
        .map(|it| it.value_shown.as_str())
        .collect();
    assert_eq!(shown, ["***"; 3]);
    let world = World::new(&[
        ("FILES_ROOT", "files"),
        ("URL_HOSTS", "files.lab,http://files.lab"),
        ("GUEST_CRED_WEB_USER", "ops"),
        ("GUEST_CRED_db_PASSWORD_FILE", "nowhere"),
        ("GUEST_CRED_a_USER", "x"),
        ("GUEST_CRED_A_USER", "y"),
        ("GUEST_CRED_a_PASSWORD_FILE", "nowhere"),
        ("GUEST_CRED_c_PASS", SECRET),
    ]);
    assert_eq!(
        world.bad(),
        [
            "environment: `GUEST_CRED_c_PASS` is not an option, guest credentials are \
             GUEST_CRED_name_USER and GUEST_CRED_name_PASSWORD",
            "FILES_ROOT: `files` is not an absolute path",
            "URL_HOSTS: `http://files.lab` is not a host: write name, *.name, an address or 10.0.0.0/8",
            "GUEST_CRED_a_USER: means the same as `GUEST_CRED_A_USER`, keep one",
            "GUEST_CRED_a_PASSWORD_FILE: the file that it names does not exist",
            "GUEST_CRED_WEB_PASSWORD: is not set, `GUEST_CRED_WEB_USER` wants it",
            "GUEST_CRED_db_USER: is not set, `GUEST_CRED_db_PASSWORD_FILE` wants it",
        ]
    );
}
