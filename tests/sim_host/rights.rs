//! Rights, roles, permissions, accounts.

use crate::HOST;
use crate::RIGHTS;
use crate::SERVICES;
use crate::Talk;

#[test]
fn rights_roles_and_permissions() {
    let mut talk = Talk::new("root");
    let session = talk.fetch(("SessionManager", "ha-sessionmgr"), "currentSession.key");
    let key = session
        .split("xsi:type=\"xsd:string\">")
        .nth(1)
        .unwrap()
        .split('<')
        .next()
        .unwrap()
        .to_owned();
    let entity = "<entity type=\"Folder\">ha-folder-root</entity>";
    let asked = format!(
        "<sessionId>{key}</sessionId><privId>VirtualMachine.Interact.PowerOn</privId><privId>System.View</privId>"
    );
    let told = talk.good(RIGHTS, "HasPrivilegeOnEntities", &format!("{entity}{asked}"));
    assert_eq!(told.matches("<isGranted>true").count(), 2);
    talk.good(RIGHTS, "HasPrivilegeOnEntity", &format!("{entity}{asked}"));
    talk.bad(
        RIGHTS,
        "HasPrivilegeOnEntities",
        &format!("{entity}<sessionId>x</sessionId>"),
        "InvalidArgument",
    );
    talk.bad(
        RIGHTS,
        "HasPrivilegeOnEntities",
        &format!("<entity type=\"Folder\">nothing</entity>{asked}"),
        "ManagedObjectNotFound",
    );
    let user = |name: &str| {
        format!("<entities type=\"VirtualMachine\">1</entities><userName>{name}</userName>")
    };
    let told = talk.good(
        RIGHTS,
        "HasUserPrivilegeOnEntities",
        &format!("{}<privId>Host.Config.Storage</privId>", user("viewer")),
    );
    assert!(told.contains("<isGranted>false"));
    assert!(
        !talk.good(RIGHTS, "FetchUserPrivilegeOnEntities", &user("viewer")).contains("PowerOn")
    );
    assert!(talk.good(RIGHTS, "FetchUserPrivilegeOnEntities", &user("root")).contains("PowerOn"));
    talk.bad(RIGHTS, "FetchUserPrivilegeOnEntities", &user("nobody"), "UserNotFound");

    assert!(talk.fetch(RIGHTS, "roleList").contains("<name>ReadOnly</name>"));
    let below = talk.good(
        RIGHTS,
        "RetrieveEntityPermissions",
        "<entity type=\"VirtualMachine\">1</entity><inherited>true</inherited>",
    );
    assert!(below.contains("<principal>viewer</principal>"));
    let own = format!("{entity}<inherited>false</inherited>");
    assert!(talk.good(RIGHTS, "RetrieveEntityPermissions", &own).contains("vpxuser"));
    assert!(talk.good(RIGHTS, "RetrieveAllPermissions", "").contains("vpxuser"));
    let role = talk.good(RIGHTS, "RetrieveRolePermissions", "<roleId>-2</roleId>");
    assert!(role.contains("viewer") && !role.contains("vpxuser"));
    let find = "<searchStr>view</searchStr><exactMatch>false</exactMatch><findUsers>true</findUsers><findGroups>true</findGroups>";
    let directory = ("UserDirectory", "ha-user-directory");
    assert!(talk.good(directory, "RetrieveUserGroups", find).contains("May only look"));
}

#[test]
fn a_viewer_may_not_change_the_host() {
    let mut talk = Talk::new("viewer");
    assert!(talk.fetch(HOST, "config.product").contains("ESXi"));
    talk.bad(SERVICES, "StartService", "<id>TSM-SSH</id>", "NoPermission");
    talk.bad(
        RIGHTS,
        "SetEntityPermissions",
        "<entity type=\"Folder\">ha-folder-root</entity>",
        "NoPermission",
    );
    talk.bad(HOST, "RebootHost_Task", "<force>true</force>", "NoPermission");
}
