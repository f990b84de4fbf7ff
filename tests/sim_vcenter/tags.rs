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

    let (_, text) = rest(&mut it, &id, "GET", "/api/cis/tagging/tag", "");
    let tags: Vec<String> =
        text.split('"').filter(|it| it.starts_with("urn:")).map(str::to_owned).collect();
    assert_eq!(tags.len(), 3, "{text}");
    let shown = |it: &mut Client, tag: &str| {
        let target = format!("/api/cis/tagging/tag/{}", tag.replace(':', "%3A"));
        rest(it, &id, "GET", &target, "").1
    };
    let found = |it: &mut Client, name: &str| {
        let name = format!("\"name\":\"{name}\"");
        tags.iter().find(|tag| shown(it, tag).contains(&name)).unwrap().clone()
    };
    let (lab, daily) = (found(&mut it, "Lab"), found(&mut it, "daily"));
    let category = between(&shown(&mut it, &lab), "\"category_id\":\"", "\"").unwrap().to_owned();
    let target = format!("/rest/com/vmware/cis/tagging/category/id:{category}");
    assert!(rest(&mut it, &old, "GET", &target, "").1.contains("SINGLE"));
    let db01 = "{\"object_id\":{\"type\":\"VirtualMachine\",\"id\":\"vm-3\"}}";
    let host = "{\"object_id\":{\"type\":\"HostSystem\",\"id\":\"host-9\"}}";
    let base = "/rest/com/vmware/cis/tagging/tag-association";
    let mut attach = |tag: &str, to: &str| {
        rest(&mut it, &old, "POST", &format!("{base}/id:{tag}?~action=attach"), to).0
    };
    // db01 is in production, of the same category, and a host takes none of these tags.
    let web02 = "{\"object_id\":{\"type\":\"VirtualMachine\",\"id\":\"vm-2\"}}";
    assert_eq!((attach(&lab, db01), attach(&daily, host), attach(&daily, web02)), (400, 400, 200));
    let list = "/api/cis/tagging/tag-association?action=list-attached-tags";
    let (_, text) = rest(&mut it, &id, "POST", list, web02);
    assert!(text.contains(&daily) && text.matches("InventoryServiceTag").count() == 2, "{text}");
    let target = format!("{base}/id:{daily}?~action=list-attached-objects");
    assert!(rest(&mut it, &old, "POST", &target, "").1.contains("\"vm-2\""));
    let target =
        format!("/rest/com/vmware/cis/tagging/tag/id:{category}?~action=list-tags-for-category");
    let (_, text) = rest(&mut it, &old, "POST", &target, "");
    assert!(text.contains(&lab) && !text.contains(&daily), "{text}");
    let several = "{\"object_ids\":[{\"type\":\"VirtualMachine\",\"id\":\"vm-2\"}]}";
    let target = format!("{base}?~action=list-attached-tags-on-objects");
    let (status, text) = rest(&mut it, &old, "POST", &target, several);
    assert!(status == 200 && text.contains(&daily) && text.contains("vm-2"), "{text}");
    let target = format!("/api/cis/tagging/tag-association/{daily}?action=detach");
    assert_eq!(rest(&mut it, &id, "POST", &target, web02).0, 204);
    assert!(!rest(&mut it, &id, "POST", list, web02).1.contains(&daily));
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
