//! The methods that the peer knows, but for property queries and tasks, which have their own files.

use crate::scripted::answer::{Answer, escaped, returns_ref};
use crate::scripted::asked::Asked;
use crate::scripted::{Collector, Peer, Session, State, properties, tasks};

/// Methods that change nothing; everything else is a write. The tests' own list.
pub const READS: &[&str] = &[
    "CancelRetrievePropertiesEx",
    "CancelWaitForUpdates",
    "ContinueRetrievePropertiesEx",
    "CreateCollectorForEvents",
    "CreateContainerView",
    "CreateFilter",
    "CreatePropertyCollector",
    "CurrentTime",
    "DestroyCollector",
    "DestroyPropertyCollector",
    "DestroyPropertyFilter",
    "DestroyView",
    "GET /sdk/vimServiceVersions.xml",
    "HasPrivilegeOnEntities",
    "Login",
    "Logout",
    "QueryPerf",
    "QueryPerfProviderSummary",
    "RetrievePropertiesEx",
    "RetrieveServiceContent",
    "SetCollectorPageSize",
    "WaitForUpdatesEx",
];

/// `vimServiceVersions.xml`, with a namespace beside ours as real servers have it.
pub fn versions(newest: &str, prior: &[&str]) -> String {
    let prior: String = prior.iter().map(|name| format!("<version>{name}</version>")).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\" ?><namespaces version=\"1.0\">\
         <namespace><name>urn:vim25</name><version>{newest}</version>\
         <priorVersions>{prior}</priorVersions></namespace>\
         <namespace><name>urn:vim2</name><version>2.0</version></namespace></namespaces>"
    )
}

/// The answer of a server that behaves.
pub fn answer(peer: &Peer, asked: &Asked) -> Answer {
    if asked.verb == "GET" {
        let versions = peer.lock().versions.clone();
        return match versions.filter(|_| asked.path == "/sdk/vimServiceVersions.xml") {
            Some(text) => Answer::http(200, &[("Content-Type", "text/xml")], &text),
            None => Answer::html(404),
        };
    }
    assert_eq!((asked.verb.as_str(), asked.path.as_str()), ("POST", "/sdk"));
    match asked.method.as_str() {
        "RetrieveServiceContent" => return content(&peer.lock()),
        "Login" => return login(peer, asked),
        _ => {}
    }
    let Some(session) = session(peer, asked) else { return expired(peer, asked) };
    if peer.lock().free_licence && !READS.contains(&asked.method.as_str()) {
        let text =
            "Current license or ESXi version prohibits execution of the requested operation.";
        return Answer::fault("RestrictedVersion", text);
    }
    let done = || Answer::Result(String::new());
    match asked.method.as_str() {
        "Logout" => {
            peer.change(|state| state.sessions.remove(&session));
            done()
        }
        "CreateContainerView" => peer.change(|state| create_view(state, &session, asked)),
        "CreatePropertyCollector" => peer.change(|state| {
            let id = format!("session[{session}]pc-{}", state.number());
            let collectors = &mut state.sessions.get_mut(&session).unwrap().collectors;
            collectors.insert(id.clone(), Collector::default());
            returns_ref("PropertyCollector", &id)
        }),
        "DestroyPropertyCollector" => {
            let gone = peer.change(|state| {
                state.sessions.get_mut(&session).unwrap().collectors.remove(&asked.this)
            });
            if gone.is_some() { done() } else { not_found(&asked.this_kind, &asked.this) }
        }
        "CreateFilter" => peer.change(|state| {
            let number = state.number();
            let all = &mut state.sessions.get_mut(&session).unwrap().collectors;
            let Some(collector) = all.get_mut(&asked.this) else {
                return not_found(&asked.this_kind, &asked.this);
            };
            collector.watched = asked.args("spec.objectSet.obj");
            returns_ref("PropertyFilter", &format!("filter-{number}"))
        }),
        "CancelWaitForUpdates" => peer.change(|state| {
            let all = &mut state.sessions.get_mut(&session).unwrap().collectors;
            match all.get_mut(&asked.this) {
                Some(collector) => collector.called_off = true,
                None => return not_found(&asked.this_kind, &asked.this),
            }
            done()
        }),
        "WaitForUpdatesEx" => tasks::wait_for_updates(peer, &session, asked),
        "RetrievePropertiesEx" | "ContinueRetrievePropertiesEx" => {
            peer.change(|state| properties::retrieve(state, &session, asked))
        }
        "HasPrivilegeOnEntities" => privileges(&peer.lock(), asked),
        "CancelTask" => peer.change(|state| tasks::cancel(state, &asked.this)),
        "AnswerVM" => peer.change(|state| tasks::answer_question(state, asked)),
        "UnregisterVM" => {
            peer.change(|state| state.things.retain(|thing| thing.id != asked.this));
            done()
        }
        "ShutdownGuest" | "RebootGuest" | "StandbyGuest" | "RenameSnapshot" | "MakeDirectory" => {
            done()
        }
        "PutUsbScanCodes" => Answer::Result("<returnval>1</returnval>".to_owned()),
        "AcquireTicket" => {
            let ticket = "<returnval><ticket>t</ticket><cfgFile>f</cfgFile></returnval>";
            Answer::Result(ticket.to_owned())
        }
        method if method.ends_with("_Task") => peer.change(|state| tasks::start(state, asked)),
        method => Answer::Fault(
            "MethodNotFound".into(),
            format!("<receiver type=\"{}\">{}</receiver>", asked.this_kind, escaped(&asked.this)),
            format!("Unable to resolve WSDL method name {method} for namespace name urn:vim25"),
        ),
    }
}

/// `ManagedObjectNotFound` for an id.
pub fn not_found(kind: &str, id: &str) -> Answer {
    Answer::Fault(
        "ManagedObjectNotFound".into(),
        format!("<obj type=\"{kind}\">{}</obj>", escaped(id)),
        format!(
            "The object '{kind}:{id}' has already been deleted or has not been completely created"
        ),
    )
}

/// The open session of a request, by its cookie to the letter.
fn session(peer: &Peer, asked: &Asked) -> Option<String> {
    let cookie = asked.header("Cookie")?;
    let key = cookie.strip_prefix("vmware_soap_session=\"")?.strip_suffix('"')?;
    peer.lock().sessions.contains_key(key).then(|| key.to_owned())
}

fn expired(peer: &Peer, asked: &Asked) -> Answer {
    let fields = "<object type=\"Folder\">ha-folder-root</object>\
                  <privilegeId>System.View</privilegeId>";
    if peer.lock().hides_expiry && asked.method == "RetrievePropertiesEx" {
        let missing = format!(
            "<returnval><objects><obj type=\"Folder\">ha-folder-root</obj><missingSet>\
             <path>name</path><fault><fault xsi:type=\"NotAuthenticated\">{fields}</fault>\
             <localizedMessage>The session is not authenticated.</localizedMessage></fault>\
             </missingSet></objects></returnval>"
        );
        return Answer::Result(missing);
    }
    Answer::Fault(
        "NotAuthenticated".into(),
        fields.into(),
        "The session is not authenticated.".into(),
    )
}

fn login(peer: &Peer, asked: &Asked) -> Answer {
    let mut state = peer.lock();
    let given = (asked.arg("userName").unwrap(), asked.arg("password").unwrap());
    // A login over a living session is a failed one.
    let wrong = given != (state.user.clone(), state.password.clone());
    if wrong || asked.header("Cookie").is_some() {
        return Answer::fault(
            "InvalidLogin",
            "Cannot complete login due to an incorrect user name or password.",
        );
    }
    let key = format!("{:040x}", state.number());
    state.sessions.insert(key.clone(), Session::default());
    let user = format!(
        "<returnval><key>52-{key}</key><userName>{}</userName><fullName></fullName>\
         <loginTime>2024-01-31T10:20:30Z</loginTime><lastActiveTime>2024-01-31T10:20:30Z\
         </lastActiveTime><locale>en</locale><messageLocale>en</messageLocale></returnval>",
        escaped(&given.0)
    );
    let cookie = format!("vmware_soap_session=\"{key}\"; Path=/; HttpOnly; Secure; ");
    let mut sent = crate::scripted::answer::sent("Login", Answer::Result(user)).unwrap();
    sent.headers.push(("Set-Cookie".into(), cookie));
    Answer::Http(200, sent.headers, sent.body)
}

fn content(state: &State) -> Answer {
    let one = |name: &str, kind: &str, id: &str| format!("<{name} type=\"{kind}\">{id}</{name}>");
    let (product, api) = match state.vcenter {
        true => ("VMware vCenter Server 8.0.3 build-1", "VirtualCenter"),
        false => ("VMware ESXi 8.0.3 build-24022510", "HostAgent"),
    };
    let inside = [
        one("rootFolder", "Folder", "ha-folder-root"),
        one("propertyCollector", "PropertyCollector", "ha-property-collector"),
        one("viewManager", "ViewManager", "ViewManager"),
        format!(
            "<about><name>VMware ESXi</name><fullName>{product}</fullName>\
             <vendor>VMware, Inc.</vendor><version>8.0.3</version><build>24022510</build>\
             <osType>vmnix-x86</osType><productLineId>embeddedEsx</productLineId>\
             <apiType>{api}</apiType><apiVersion>8.0.3.0</apiVersion></about>"
        ),
        one("sessionManager", "SessionManager", "ha-sessionmgr"),
        one("authorizationManager", "AuthorizationManager", "ha-authmgr"),
        one("taskManager", "TaskManager", "ha-taskmgr"),
        one("licenseManager", "LicenseManager", "ha-license-manager"),
        one("searchIndex", "SearchIndex", "ha-searchindex"),
        one("fileManager", "FileManager", "ha-nfc-file-manager"),
        one("virtualDiskManager", "VirtualDiskManager", "ha-vdiskmanager"),
        // Newer servers have managers that the schema does not know.
        one("holodeckManager", "HolodeckManager", "ha-holodeck"),
    ];
    Answer::Result(format!("<returnval>{}</returnval>", inside.concat()))
}

fn create_view(state: &mut State, session: &str, asked: &Asked) -> Answer {
    let id = format!("session[{session}]view-{}", state.number());
    let kinds = asked.args("type");
    state.sessions.get_mut(session).unwrap().views.insert(id.clone(), kinds);
    returns_ref("ContainerView", &id)
}

fn privileges(state: &State, asked: &Asked) -> Answer {
    let one = |name: &String| {
        let granted = !state.lacks.contains(name);
        format!(
            "<privAvailability><privId>{name}</privId><isGranted>{granted}</isGranted>\
             </privAvailability>"
        )
    };
    let all: String = asked.args("privId").iter().map(one).collect();
    let root = "<entity type=\"Folder\">ha-folder-root</entity>";
    Answer::Result(format!("<returnval>{root}{all}</returnval>"))
}
