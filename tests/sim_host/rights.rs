//! Rights, roles, permissions, accounts.

use crate::ACCOUNTS;
use crate::HOST;
use crate::NETWORK;
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

    let role = |id: &str, name: &str, privilege: &str| {
        format!("{id}<name>{name}</name><privIds>{privilege}</privIds>")
    };
    assert!(
        talk.good(
            RIGHTS,
            "AddAuthorizationRole",
            &role("", "power", "VirtualMachine.Interact.PowerOn")
        )
        .contains(">10<")
    );
    talk.bad(RIGHTS, "AddAuthorizationRole", &role("", "power", "System.View"), "AlreadyExists");
    talk.bad(RIGHTS, "AddAuthorizationRole", &role("", "other", "No.Such"), "InvalidArgument");
    talk.bad(RIGHTS, "AddAuthorizationRole", &role("", "", "System.View"), "InvalidName");
    talk.good(RIGHTS, "UpdateAuthorizationRole", "<roleId>10</roleId><newName>switch</newName><privIds>VirtualMachine.Interact.PowerOn</privIds>");
    talk.bad(
        RIGHTS,
        "UpdateAuthorizationRole",
        "<roleId>-1</roleId><newName>x</newName>",
        "InvalidArgument",
    );
    talk.bad(
        RIGHTS,
        "UpdateAuthorizationRole",
        "<roleId>77</roleId><newName>x</newName>",
        "NotFound",
    );
    assert!(talk.fetch(RIGHTS, "roleList").contains("<name>switch</name>"));

    let grant = |who: &str, role: i64| {
        format!(
            "{entity}<permission><principal>{who}</principal><group>false</group><roleId>{role}</roleId><propagate>true</propagate></permission>"
        )
    };
    talk.good(RIGHTS, "SetEntityPermissions", &grant("viewer", 10));
    assert!(talk.good(RIGHTS, "FetchUserPrivilegeOnEntities", &user("viewer")).contains("PowerOn"));
    talk.bad(RIGHTS, "SetEntityPermissions", &grant("nobody", 10), "UserNotFound");
    talk.bad(RIGHTS, "SetEntityPermissions", &grant("viewer", 99), "NotFound");
    talk.bad(RIGHTS, "SetEntityPermissions", &grant("root", -2), "AuthMinimumAdminPermission");
    let below = talk.good(
        RIGHTS,
        "RetrieveEntityPermissions",
        "<entity type=\"VirtualMachine\">1</entity><inherited>true</inherited>",
    );
    assert!(below.contains("<roleId>10</roleId>"));
    talk.good(
        RIGHTS,
        "RetrieveEntityPermissions",
        &format!("{entity}<inherited>false</inherited>"),
    );
    assert!(talk.good(RIGHTS, "RetrieveAllPermissions", "").contains("vpxuser"));
    assert!(
        !talk.good(RIGHTS, "RetrieveRolePermissions", "<roleId>10</roleId>").contains("vpxuser")
    );
    talk.bad(
        RIGHTS,
        "RemoveAuthorizationRole",
        "<roleId>10</roleId><failIfUsed>true</failIfUsed>",
        "RemoveFailed",
    );
    let who = format!("{entity}<user>viewer</user><isGroup>false</isGroup>");
    talk.good(RIGHTS, "RemoveEntityPermission", &who);
    talk.bad(RIGHTS, "RemoveEntityPermission", &who, "NotFound");
    talk.good(RIGHTS, "ResetEntityPermissions", entity);
    talk.good(
        RIGHTS,
        "RemoveAuthorizationRole",
        "<roleId>10</roleId><failIfUsed>true</failIfUsed>",
    );
    talk.bad(
        RIGHTS,
        "RemoveAuthorizationRole",
        "<roleId>10</roleId><failIfUsed>true</failIfUsed>",
        "NotFound",
    );
    talk.bad(
        RIGHTS,
        "RemoveAuthorizationRole",
        "<roleId>-1</roleId><failIfUsed>true</failIfUsed>",
        "InvalidArgument",
    );
}

#[test]
fn a_viewer_may_not_change_the_host() {
    let mut talk = Talk::new("viewer");
    assert!(talk.fetch(HOST, "config.product").contains("ESXi"));
    talk.bad(SERVICES, "StartService", "<id>TSM-SSH</id>", "NoPermission");
    talk.bad(NETWORK, "AddVirtualNic", "<portgroup>Lab</portgroup><nic/>", "NoPermission");
    talk.bad(
        RIGHTS,
        "RemoveEntityPermission",
        "<entity type=\"Folder\">ha-folder-root</entity><user>root</user><isGroup>false</isGroup>",
        "NoPermission",
    );
    talk.bad(HOST, "RebootHost_Task", "<force>true</force>", "NoPermission");
}

#[test]
fn a_permission_lets_an_account_in_and_do_what_it_says() {
    let mut talk = Talk::new("root");
    talk.good(ACCOUNTS, "CreateUser", "<user><id>ann</id><password>secret-1</password></user>");
    let login = |talk: &mut Talk, password: &str| {
        talk.cookie.clear();
        let args = format!("<userName>ann</userName><password>{password}</password>");
        talk.post("SessionManager", "ha-sessionmgr", "Login", &args).0
    };
    let root = talk.cookie.clone();
    assert_eq!(login(&mut talk, "secret-1"), 500);
    talk.cookie.clone_from(&root);
    talk.good(
        RIGHTS,
        "AddAuthorizationRole",
        "<name>power</name><privIds>VirtualMachine.Interact.PowerOff</privIds>",
    );
    talk.good(
        RIGHTS,
        "SetEntityPermissions",
        "<entity type=\"Folder\">ha-folder-root</entity><permission><principal>ann</principal>\
         <group>false</group><roleId>10</roleId><propagate>true</propagate></permission>",
    );
    assert_eq!(login(&mut talk, "wrong"), 500);
    assert_eq!(login(&mut talk, "secret-1"), 200);
    talk.good(("VirtualMachine", "1"), "PowerOffVM_Task", "");
    talk.bad(("VirtualMachine", "2"), "SuspendVM_Task", "", "NoPermission");
    talk.bad(SERVICES, "StartService", "<id>TSM-SSH</id>", "NoPermission");
    // A password that was changed counts from the next login on.
    talk.cookie = root;
    talk.good(
        ACCOUNTS,
        "ChangePassword",
        "<user>root</user><oldPassword>secret</oldPassword><newPassword>another-1</newPassword>",
    );
    assert_eq!(talk.login("root").0, 500);
}

#[test]
fn accounts() {
    let mut talk = Talk::new("root");
    let user = |id: &str, password: &str| {
        format!(
            "<user><id>{id}</id><password>{password}</password><description>Somebody</description></user>"
        )
    };
    talk.good(ACCOUNTS, "CreateUser", &user("ann", "Str0ng-one"));
    talk.bad(ACCOUNTS, "CreateUser", &user("ann", "Str0ng-one"), "AlreadyExists");
    talk.bad(ACCOUNTS, "CreateUser", &user("a b", "Str0ng-one"), "InvalidArgument");
    talk.bad(ACCOUNTS, "CreateUser", &user("bob", "short"), "InvalidArgument");
    talk.good(ACCOUNTS, "UpdateUser", "<user><id>ann</id><description>Ann</description></user>");
    talk.bad(ACCOUNTS, "UpdateUser", "<user><id>bob</id></user>", "UserNotFound");
    let change = |old: &str| {
        format!(
            "<user>ann</user><oldPassword>{old}</oldPassword><newPassword>Other-one1</newPassword>"
        )
    };
    talk.bad(ACCOUNTS, "ChangePassword", &change("wrong"), "InvalidLogin");
    talk.good(ACCOUNTS, "ChangePassword", &change("Str0ng-one"));
    let find = |what: &str, exact: bool| {
        format!(
            "<searchStr>{what}</searchStr><exactMatch>{exact}</exactMatch><findUsers>true</findUsers><findGroups>true</findGroups>"
        )
    };
    let directory = ("UserDirectory", "ha-user-directory");
    assert!(
        talk.good(directory, "RetrieveUserGroups", &find("an", false))
            .contains("<fullName>Ann</fullName>")
    );
    assert!(!talk.good(directory, "RetrieveUserGroups", &find("an", true)).contains("ann"));
    talk.good(ACCOUNTS, "RemoveUser", "<userName>ann</userName>");
    talk.bad(ACCOUNTS, "RemoveUser", "<userName>ann</userName>", "UserNotFound");
    talk.bad(ACCOUNTS, "RemoveUser", "<userName>root</userName>", "SecurityError");
}
