//! The settings of the concentrator, together.

use crate::config::refusal;
use crate::config::tests::World;

#[test]
fn the_concentrator_is_known_by_what_hosts_dial() {
    let advertised = |variables: &[(&str, &str)]| {
        let loaded = World::new(variables).load();
        loaded.map(|it| it.concentrator.advertised).map_err(|it| refusal(&it).to_string())
    };
    let tls = [("SERIAL_TLS_CERT", "/c"), ("SERIAL_TLS_KEY", "/k")];
    for (variables, uri) in [
        (&[][..], None),
        (&[("SERIAL_LISTEN", "0.0.0.0")], None),
        (&[("SERIAL_LISTEN", "13371")], None),
        (&[("SERIAL_LISTEN", "10.0.0.5")], Some("telnet://10.0.0.5:13370")),
        (&[("SERIAL_ADVERTISE", "jump")], Some("telnet://jump:13370")),
        (&[("SERIAL_ADVERTISE", "telnets://jump:9")], Some("telnets://jump:9")),
        (
            &[("SERIAL_LISTEN", "13371"), ("SERIAL_ADVERTISE", "fd00::5"), tls[0], tls[1]],
            Some("telnets://[fd00::5]:13371"),
        ),
    ] {
        assert_eq!(advertised(variables), Ok(uri.map(str::to_owned)), "{variables:?}");
    }
    for (variables, said) in [
        (&tls[..1], "SERIAL_TLS_CERT: is of no use without `SERIAL_TLS_KEY`"),
        (&[("SERIAL_ADVERTISE", "::")], "name an address that hosts can dial"),
        (&[("SERIAL_ADVERTISE", "telnet://a"), tls[0], tls[1]], "says telnet://"),
    ] {
        let told = advertised(variables).unwrap_err();
        assert!(told.contains(said), "{told}");
    }
}
