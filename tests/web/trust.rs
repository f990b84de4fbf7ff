//! Which certificate is accepted under which trust, and what a refusal tells.

use jumpvisor::error::{Error, Kind};
use jumpvisor::web::client::Client;
use jumpvisor::web::failure::{was_not_sent, was_refused_certificate};
use jumpvisor::web::tls::{Trust, fingerprint_text};
use rcgen::{BasicConstraints, IsCa, date_time_ymd};

use crate::server::{Identity, TempFile, get, hello, serve, settings};

/// One request by the name `localhost`.
fn attempt(identity: &Identity, trust: Trust) -> Result<(), Error> {
    let server = serve(Some(identity.config()), hello);
    let client = Client::new(settings("localhost", server.port, true, trust))?;
    let outcome = get(&client, "/sdk").map(|(status, body)| {
        assert_eq!((status, body.as_slice()), (200, &b"hello"[..]));
    });
    assert_eq!(client.seen(), Some(identity.fingerprint()), "what was shown is kept");
    if let Err(error) = &outcome {
        assert_eq!(error.kind(), Kind::Network);
        assert!(was_refused_certificate(error) && was_not_sent(error), "{error}");
        assert!(error.to_string().contains(&format!("`localhost:{}`", server.port)), "{error}");
    }
    outcome
}

#[track_caller]
fn refused(identity: &Identity, trust: Trust, parts: &[&str]) {
    let text = attempt(identity, trust).unwrap_err().to_string();
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

fn by_file(pem: &str) -> (TempFile, Trust) {
    let file = TempFile::new(pem);
    let trust = Trust::CaFile(file.0.clone());
    (file, trust)
}

#[test]
fn by_its_sha1_that_a_server_named() {
    let identity = Identity::signed(&["elsewhere"], |_| ());
    let own = identity.thumbprint();
    attempt(&identity, Trust::Thumbprint(own)).unwrap();
    let shown = fingerprint_text(&own);
    refused(&identity, Trust::Thumbprint([7; 20]), &["is not the one that was named", &shown]);
}

#[test]
fn of_a_private_authority() {
    let identity = Identity::signed(&["localhost"], |_| ());
    let print = fingerprint_text(&identity.fingerprint());
    let ways = ["…_FINGERPRINT", "…_CA_FILE", "…_INSECURE"];
    let unknown = [&["is signed by nobody who is trusted here", &print][..], &ways].concat();
    refused(&identity, Trust::System, &unknown);
    let (_file, right) = by_file(&identity.authority);
    attempt(&identity, right).unwrap();
    let (_file, leaf) = by_file(&identity.certificate);
    attempt(&identity, leaf).unwrap();
    let other = Identity::signed(&["localhost"], |_| ());
    let (_file, wrong) = by_file(&other.authority);
    refused(&identity, wrong, &unknown);
    let (_file, both) = by_file(&format!("{}{}", other.authority, identity.authority));
    attempt(&identity, both).unwrap();
    attempt(&identity, Trust::Insecure).unwrap();
}

#[test]
fn by_fingerprint() {
    let identity = Identity::alone(&["elsewhere.test"], |params| {
        params.not_after = date_time_ymd(2001, 1, 1);
        params.not_before = date_time_ymd(2000, 1, 1);
    });
    attempt(&identity, Trust::Fingerprint(identity.fingerprint())).unwrap();
    let (real, wrong) = (fingerprint_text(&identity.fingerprint()), fingerprint_text(&[7; 32]));
    let said = format!("its SHA-256 fingerprint is {real}, not {wrong}");
    refused(&identity, Trust::Fingerprint([7; 32]), &["is not the expected one", &said]);
}

#[test]
fn a_copied_certificate_without_its_key_does_not_pass() {
    let mut thief = Identity::alone(&["localhost"], |_| ());
    let victim = Identity::alone(&["localhost"], |_| ());
    thief.certificate = victim.certificate.clone();
    let (_file, by_file) = by_file(&victim.certificate);
    let by_sha1 = Trust::Thumbprint(victim.thumbprint());
    for trust in [Trust::Fingerprint(victim.fingerprint()), by_sha1, by_file] {
        let server = serve(Some(thief.config()), hello);
        let client = Client::new(settings("localhost", server.port, true, trust)).unwrap();
        let error = get(&client, "/sdk").unwrap_err();
        assert!(error.to_string().contains("is not backed by its key"), "{error}");
        assert!(was_refused_certificate(&error));
        assert!(server.heard.lock().unwrap().is_empty());
    }
}

#[test]
fn an_own_authority_certificate_as_the_servers_own() {
    let identity = Identity::alone(&["localhost"], |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    });
    let print = fingerprint_text(&identity.fingerprint());
    let (_file, own) = by_file(&identity.certificate);
    attempt(&identity, own).unwrap();
    let (_file, other) = by_file(&Identity::alone(&["localhost"], |_| ()).certificate);
    for trust in [Trust::System, other] {
        let set = format!("Set …_FINGERPRINT to {print}");
        refused(&identity, trust, &["is an authority's own", &set]);
    }
    attempt(&identity, Trust::Fingerprint(identity.fingerprint())).unwrap();
    attempt(&identity, Trust::Insecure).unwrap();
}

#[test]
fn out_of_date_or_for_another_name() {
    let old = Identity::signed(&["localhost"], |params| {
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(2001, 1, 1);
    });
    let print = fingerprint_text(&old.fingerprint());
    let (_file, trust) = by_file(&old.authority);
    refused(&old, trust, &["expired", "days ago", "this machine's clock", &print]);

    let early = Identity::signed(&["localhost"], |params| {
        params.not_before = date_time_ymd(3000, 1, 1);
        params.not_after = date_time_ymd(3001, 1, 1);
    });
    let (_file, trust) = by_file(&early.authority);
    refused(&early, trust, &["becomes valid only in", "days"]);

    let elsewhere = Identity::signed(&["esx7.lab", "10.1.2.3"], |_| ());
    let print = fingerprint_text(&elsewhere.fingerprint());
    let (_file, trust) = by_file(&elsewhere.authority);
    refused(&elsewhere, trust, &["is not for `localhost`, but for `esx7.lab`", &print]);

    let nameless = Identity::signed(&[], |_| ());
    let (_file, trust) = by_file(&nameless.authority);
    refused(&nameless, trust, &["is not for `localhost`, but for no name at all"]);
}

#[test]
fn by_address() {
    let identity = Identity::signed(&["127.0.0.1"], |_| ());
    let (_file, trust) = by_file(&identity.authority);
    let server = serve(Some(identity.config()), hello);
    let client = Client::new(settings("127.0.0.1", server.port, true, trust)).unwrap();
    assert_eq!(get(&client, "/").unwrap().0, 200);
}

#[test]
fn of_version_1() {
    let identity =
        Identity { certificate: V1.to_owned(), authority: V1.to_owned(), key: V1_KEY.to_owned() };
    let (_file, own) = by_file(V1);
    let system = Trust::System;
    for trust in [system, own, Trust::Fingerprint(identity.fingerprint())] {
        refused(&identity, trust, &["is of X.509 version 1, which cannot be checked"]);
    }
    attempt(&identity, Trust::Insecure).unwrap();
}

#[test]
fn signed_with_sha_1() {
    let (certificate, key) = (OLD.to_owned(), OLD_KEY.to_owned());
    let identity = Identity { certificate, authority: OLD_AUTHORITY.to_owned(), key };
    let print = fingerprint_text(&identity.fingerprint());
    let (_file, own) = by_file(OLD_AUTHORITY);
    let pin = format!("set …_FINGERPRINT to {print}");
    refused(&identity, own, &["is signed in a way that is too old", "SHA-1", &pin]);
    attempt(&identity, Trust::Fingerprint(identity.fingerprint())).unwrap();
}

// Made once by openssl, which still signs with SHA-1; used nowhere else.
const OLD_AUTHORITY: &str = "\
-----BEGIN CERTIFICATE-----
MIIBiDCCAS+gAwIBAgIULz4Um2yayWLfPRBS0Ar1v5aywOwwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOYXV0aG9yaXR5LnRlc3QwIBcNMjYxMTIxMDYwNDA5WhgPMjEy
NjEwMjgwNjA0MDlaMBkxFzAVBgNVBAMMDmF1dGhvcml0eS50ZXN0MFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAE8tH3wYe5mBiaH9yqezwEBphIRWphBnon5G4otlYY
kKqvVeYs+8ACk5msP3VJrqGSmIXfhxrJFV8zwVD8EKXL1KNTMFEwHQYDVR0OBBYE
FKx2lfBWSumeS1ZhovCk2hDsKW+SMB8GA1UdIwQYMBaAFKx2lfBWSumeS1ZhovCk
2hDsKW+SMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDRwAwRAIgb5knoOMc
+oWpHxY6F6xdfeBv57g+z5TuPg760MiqzL8CIDokjWepPEQK3LxVo+PaQLblFNO9
0lbs66mOaPxpzFVJ
-----END CERTIFICATE-----
";

const OLD: &str = "\
-----BEGIN CERTIFICATE-----
MIIBgDCCASagAwIBAgIBATAJBgcqhkjOPQQBMBkxFzAVBgNVBAMMDmF1dGhvcml0
eS50ZXN0MCAXDTI2MTEyMTA2MDQwOVoYDzIxMjYxMDI4MDYwNDA5WjAUMRIwEAYD
VQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQBy+rf/GTr
d9esctSp6VEVjZ1LxPD3T+Kqet5B0S0n9EaF4gErLHbEudlJFkZVH1ZBblsAv2Ge
8CNPeP8ADZrdo2MwYTAUBgNVHREEDTALgglsb2NhbGhvc3QwCQYDVR0TBAIwADAd
BgNVHQ4EFgQUb3XC0FEwad68ShVV1x0exNTqkfAwHwYDVR0jBBgwFoAUrHaV8FZK
6Z5LVmGi8KTaEOwpb5IwCQYHKoZIzj0EAQNJADBGAiEA9UAC9/QEXvzCGkGevvkU
jejf6PtNQ8/iwMjNX1V4Q4gCIQC9dRh069Me21vMPGjllHO38qyRxuFNz66SkQBg
i8FZdg==
-----END CERTIFICATE-----
";

const OLD_KEY: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgEoU2SEv/1WlV0VhR
fNxDleMvoy2txH6dpwFFHUBkt9WhRANCAAQBy+rf/GTrd9esctSp6VEVjZ1LxPD3
T+Kqet5B0S0n9EaF4gErLHbEudlJFkZVH1ZBblsAv2Ge8CNPeP8ADZrd
-----END PRIVATE KEY-----
";

// Made once by openssl, which still makes version 1; used nowhere else.
const V1_KEY: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgZV+9h00NZCb7ENd8
eFADagChAFtJzqzayUlusgDOdBOhRANCAAT9NdxVheXt5nutj2TjXLLCynOeafIK
DagN9QcG3tUJZ7vfqAjT13qJiuxksiWGaWestsHh1CmDdBxT0b0DHLNl
-----END PRIVATE KEY-----
";

const V1: &str = "\
-----BEGIN CERTIFICATE-----
MIIBJDCBywIUX10jm9JzUvb84ajT64z2CbX1PtowCgYIKoZIzj0EAwIwFDESMBAG
A1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMTA0MjEwOVoYDzIxMjYxMDI4MDQyMTA5
WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AAT9NdxVheXt5nutj2TjXLLCynOeafIKDagN9QcG3tUJZ7vfqAjT13qJiuxksiWG
aWestsHh1CmDdBxT0b0DHLNlMAoGCCqGSM49BAMCA0gAMEUCIQCqASxAIKE/Kf5t
QC2FfRfR9fNenngUPqAH3V1pUhsQCwIgN4K5v5wlE3E5ZWiSiCen173sPwn57HzK
NRBSCN5InCo=
-----END CERTIFICATE-----
";
