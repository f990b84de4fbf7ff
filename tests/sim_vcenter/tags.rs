//! Tags over REST.

use crate::client::{Client, between};

/// A REST call over a session.
fn rest(it: &mut Client, id: &str, method: &str, target: &str, body: &str) -> (u16, String) {
    it.send(method, target, &[("vmware-api-session-id", id)], body)
}

#[test]
fn tags_are_kept_over_both_faces() {
    let mut it = Client::new(true, None);
    // root:secret
    let basic = [("Authorization", "Basic cm9vdDpzZWNyZXQ=")];
    let (status, text) = it.send("POST", "/rest/com/vmware/cis/session", &basic, "");
    assert_eq!(status, 200, "{text}");
    let old = between(&text, "\"value\":\"", "\"").unwrap().to_owned();
    let (status, text) = it.send("POST", "/api/session", &basic, "");
    assert_eq!(status, 201);
    let id = text.trim_matches('"').to_owned();
    let wrong = [("Authorization", "Basic cm9vdDp3cm9uZw==")];
    let (status, text) = it.send("POST", "/api/session", &wrong, "");
    assert!(status == 401 && text.contains("UNAUTHENTICATED"), "{text}");
    assert_eq!(it.send("GET", "/api/cis/tagging/tag", &[], "").0, 401);

    let spec = "{\"create_spec\":{\"name\":\"Owner\",\"description\":\"\",\"cardinality\":\"SINGLE\",\"associable_types\":[\"VirtualMachine\"]}}";
    let (_, text) = rest(&mut it, &old, "POST", "/rest/com/vmware/cis/tagging/category", spec);
    let category = between(&text, "\"value\":\"", "\"").unwrap().to_owned();
    assert!(category.starts_with("urn:vmomi:InventoryServiceCategory:"), "{text}");
    let (status, text) = rest(&mut it, &old, "POST", "/rest/com/vmware/cis/tagging/category", spec);
    assert!(status == 400 && text.contains("already_exists"), "{text}");
    let tag = |it: &mut Client, name: &str| {
        let spec =
            format!("{{\"name\":\"{name}\",\"description\":\"\",\"category_id\":\"{category}\"}}");
        let (status, text) = rest(it, &id, "POST", "/api/cis/tagging/tag", &spec);
        assert_eq!(status, 201, "{text}");
        text.trim_matches('"').to_owned()
    };
    let (dba, web) = (tag(&mut it, "dba"), tag(&mut it, "web"));
    let (_, text) =
        rest(&mut it, &id, "GET", &format!("/api/cis/tagging/tag/{}", dba.replace(':', "%3A")), "");
    assert!(text.contains("\"name\":\"dba\"") && text.contains(&category), "{text}");
    let db01 = "{\"object_id\":{\"type\":\"VirtualMachine\",\"id\":\"vm-3\"}}";
    let host = "{\"object_id\":{\"type\":\"HostSystem\",\"id\":\"host-9\"}}";
    let base = "/rest/com/vmware/cis/tagging/tag-association";
    assert_eq!(
        rest(&mut it, &old, "POST", &format!("{base}/id:{dba}?~action=attach"), db01).0,
        200
    );
    assert_eq!(
        rest(&mut it, &old, "POST", &format!("{base}/id:{web}?~action=attach"), db01).0,
        400
    );
    assert_eq!(
        rest(&mut it, &old, "POST", &format!("{base}/id:{dba}?~action=attach"), host).0,
        400
    );
    let list = "/api/cis/tagging/tag-association?action=list-attached-tags";
    let (_, text) = rest(&mut it, &id, "POST", list, db01);
    assert!(text.contains(&dba) && text.matches("InventoryServiceTag").count() == 3, "{text}");
    let target = format!("{base}/id:{dba}?~action=list-attached-objects");
    assert!(rest(&mut it, &old, "POST", &target, "").1.contains("\"vm-3\""));
    let (_, text) = rest(
        &mut it,
        &old,
        "POST",
        &format!("/rest/com/vmware/cis/tagging/tag/id:{category}?~action=list-tags-for-category"),
        &format!("{{\"category_id\":\"{category}\"}}"),
    );
    assert!(text.contains(&dba) && text.contains(&web), "{text}");
    let both = format!(
        "{{\"tag_ids\":[\"{dba}\"],\"object_ids\":[{{\"type\":\"VirtualMachine\",\"id\":\"vm-3\"}}]}}"
    );
    for action in ["list-attached-objects-on-tags", "list-attached-tags-on-objects"] {
        let (status, text) =
            rest(&mut it, &old, "POST", &format!("{base}?~action={action}"), &both);
        assert!(status == 200 && text.contains(&dba) && text.contains("vm-3"), "{text}");
    }
    assert_eq!(
        rest(
            &mut it,
            &id,
            "POST",
            &format!("/api/cis/tagging/tag-association/{dba}?action=detach"),
            db01
        )
        .0,
        204
    );
    let rename = "{\"update_spec\":{\"name\":\"Team\"}}";
    let target = format!("/rest/com/vmware/cis/tagging/category/id:{category}");
    assert_eq!(rest(&mut it, &old, "PATCH", &target, rename).0, 200);
    assert!(rest(&mut it, &old, "GET", &target, "").1.contains("Team"));
    assert_eq!(rest(&mut it, &old, "DELETE", &target, "").0, 200);
    assert_eq!(
        rest(&mut it, &old, "GET", &format!("/rest/com/vmware/cis/tagging/tag/id:{dba}"), "").0,
        404
    );
    assert!(rest(&mut it, &id, "GET", "/api/session", "").1.contains("\"user\":\"root\""));
    assert_eq!(rest(&mut it, &id, "POST", "/api/cis/tagging/tag", "[1").0, 400);
    assert_eq!(rest(&mut it, &id, "DELETE", "/api/session", "").0, 204);
    assert_eq!(rest(&mut it, &id, "GET", "/api/session", "").0, 401);
    // viewer:secret may look.
    let (_, text) =
        it.send("POST", "/api/session", &[("Authorization", "Basic dmlld2VyOnNlY3JldA==")], "");
    let id = text.trim_matches('"').to_owned();
    assert_eq!(rest(&mut it, &id, "GET", "/api/cis/tagging/category", "").0, 200);
    assert_eq!(rest(&mut it, &id, "POST", "/api/cis/tagging/category", "{\"name\":\"x\"}").0, 403);
    let mut esxi = Client::new(false, None);
    assert_eq!(esxi.send("POST", "/api/session", &basic, "").0, 400);
    assert_eq!(esxi.send("POST", "/rest/com/vmware/cis/session", &basic, "").0, 404);
}
