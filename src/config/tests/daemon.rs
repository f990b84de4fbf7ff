//! What `serve` alone obeys, and what it misses.

use crate::config::daemon::Metrics;
use crate::config::tests::{SECRET, World};

#[test]
fn serve_wants_what_it_needs_and_nobody_else_does() {
    let mut world = World::new(&[
        ("OAUTH_ENABLED", "true"),
        ("MCP_TLS_CERT", "/a.pem"),
        ("AUTHENTIK_CLIENT_SECRET", SECRET),
    ]);
    world.good();
    world.flags.serve = true;
    assert_eq!(
        world.bad(),
        [
            "MCP_TLS_CERT: needs `MCP_TLS_KEY` beside it",
            "AUTHENTIK_CLIENT_SECRET: needs `OAUTH_CLIENT_ID` beside it",
            "OAUTH_ISSUER_URL: is missing: whose tokens are accepted; OAUTH_ENABLED wants it",
            "OAUTH_BASE_URL: is missing: where clients reach this server, which is what tokens must \
             be for; OAUTH_ENABLED wants it",
        ]
    );
    let mut world = World::new(&[("AUTHENTIK_OIDC_URL", "https://id.example/o/jump/")]);
    world.flags.serve = true;
    assert_eq!(
        world.bad(),
        [
            "AUTHENTIK_OIDC_URL: nobody signs in without `OAUTH_ENABLED=true`; set that, or take this out"
        ]
    );
}

#[test]
fn the_daemons_settings_as_they_are_taken() {
    let mut world = World::new(&[
        ("OAUTH_ENABLED", "yes"),
        ("AUTHENTIK_OIDC_URL", "https://id.example/o/jump/"),
        ("MCP_BASE_URL", "https://jump.example"),
        ("OAUTH_SCOPES", "openid groups"),
        ("RBAC_GROUPS", "ops=power@a|b, cn=x y,ou=z=vm"),
        ("METRICS", "127.0.0.1:9090"),
        ("RATE_LIMIT_PER_USER", "0"),
    ]);
    world.flags.serve = true;
    let daemon = world.good().daemon;
    let oauth = daemon.oauth.unwrap();
    assert_eq!(
        (oauth.issuer.as_str(), oauth.base.as_str()),
        ("https://id.example/o/jump/", "https://jump.example")
    );
    assert_eq!(
        (oauth.scopes, oauth.groups_claim.as_str()),
        (vec!["openid".to_owned(), "groups".to_owned()], "groups")
    );
    assert_eq!(daemon.groups.unwrap(), ["ops=power@a|b", "cn=x y,ou=z=vm"]);
    assert_eq!(daemon.metrics, Metrics::At("127.0.0.1:9090".to_owned()));
    assert_eq!((daemon.per_user, daemon.per_address), (0, 1200));
    assert_eq!((daemon.host.as_str(), daemon.port), ("127.0.0.1", 8080));
    let plain = World::new(&[("METRICS", "no")]).good().daemon;
    assert!(plain.oauth.is_none() && plain.metrics == Metrics::Nowhere);
}
