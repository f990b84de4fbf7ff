//! The prompts: ready-made requests that a person picks, rows of one table.
//!
//! Offered only where the tools that they speak of are.

use crate::error::{Error, Result};
use crate::text::json::{Object, Value};
use crate::tools::find;
use crate::tools::offer::Offer;

/// One prompt.
pub struct Prompt {
    pub name: &'static str,
    pub title: &'static str,
    pub about: &'static str,
    pub args: &'static [PromptArg],
    /// The text, with `{argument}` where an argument goes.
    text: &'static str,
    /// Tools without which it makes no sense.
    needs: &'static [&'static str],
}

/// One argument of a prompt; all are texts.
pub struct PromptArg {
    pub name: &'static str,
    pub about: &'static str,
    pub required: bool,
}

/// Every prompt, in the order of listing.
pub static PROMPTS: &[Prompt] = &[
    Prompt {
        name: "make_vm",
        title: "Make a VM",
        about: "Plan and make a VM, asking for what is missing",
        args: &[
            PromptArg { name: "purpose", about: "what the VM is for", required: true },
            PromptArg { name: "host", about: "which server", required: false },
            PromptArg { name: "datastore", about: "where its disk goes", required: false },
            PromptArg { name: "network", about: "what it is connected to", required: false },
        ],
        text: "I need a VM for: {purpose}.\n\
               Server: {host}. Datastore: {datastore}. Network: {network}.\n\
               First look at what is there: list_servers, list_vms, and the resources \
               esxi://datastores and esxi://networks. Propose a name, guest_id, CPUs, memory and \
               disk that suit the purpose, and ask me about what I left open and you cannot \
               choose safely. Call create_vm with dry_run=true and show me what it says. Create \
               the VM only after I agree, then power it on if I want that, and tell me its state.",
        needs: &["create_vm", "list_vms"],
    },
    Prompt {
        name: "diagnose_vm",
        title: "Find what is wrong with a VM",
        about: "Look into a VM that misbehaves, without changing it",
        args: &[
            PromptArg { name: "vm", about: "the VM", required: true },
            PromptArg { name: "symptom", about: "what is wrong", required: false },
            PromptArg { name: "host", about: "which server", required: false },
        ],
        text: "Something is wrong with the VM {vm}. Symptom: {symptom}. Server: {host}.\n\
               Change nothing. Read get_vm_info and list_snapshots of the VM and the resources \
               esxi://hosts and esxi://datastores. Check in this order: power state and a pending \
               question (answer_vm_question without choice shows it), VMware Tools, addresses and \
               whether its NICs are connected, disk and datastore space, old or many snapshots, \
               CPU and memory of the VM against its host. Say what you found, what is the likely \
               cause, and which tool calls would mend it; wait for my word before any of them.",
        needs: &["get_vm_info", "list_snapshots"],
    },
];

/// The prompts that make sense with what is offered.
pub fn offered(offer: &Offer) -> impl Iterator<Item = &'static Prompt> + '_ {
    let has = |name: &&str| find(name).is_some_and(|(family, tool)| offer.has(family, tool));
    PROMPTS.iter().filter(move |prompt| prompt.needs.iter().all(has))
}

/// The text of a prompt with its arguments filled in.
pub fn fill(prompt: &Prompt, given: &Object) -> Result<String> {
    let mut text = prompt.text.to_owned();
    for arg in prompt.args {
        // An explicit null counts as left out, as it does for tools.
        let value = match given.get(arg.name).filter(|it| !matches!(it, Value::Null)) {
            Some(Value::String(value)) if !value.trim().is_empty() => value,
            Some(Value::String(_)) | None if !arg.required => "not given",
            None => {
                return Err(Error::usage(format!("`{}` is missing", arg.name))
                    .hint(format!("It is required: {}", arg.about)));
            }
            Some(_) => return Err(Error::usage(format!("`{}` must be a text", arg.name))),
        };
        text = text.replace(&format!("{{{}}}", arg.name), value);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::json;

    #[test]
    fn arguments_go_where_they_belong() {
        let prompt = PROMPTS.iter().find(|it| it.name == "make_vm").unwrap();
        let given = json::object([("purpose", json::text("a DNS server"))]);
        let text = fill(prompt, &given).unwrap();
        assert!(text.contains("for: a DNS server") && text.contains("Server: not given"));
        assert!(!text.contains('{'), "{text}");
        assert!(fill(prompt, &Object::new()).unwrap_err().to_string().contains("`purpose`"));
        let null = |name| {
            fill(
                prompt,
                &json::object([("purpose", json::text("a DNS server")), (name, Value::Null)]),
            )
        };
        assert_eq!(null("host").unwrap(), text, "null is as good as nothing");
        let missing = null("purpose").unwrap_err().to_string();
        assert!(missing.contains("`purpose` is missing"), "{missing}");
    }

    #[test]
    fn prompts_go_with_their_tools() {
        let readers = Offer::parse(None, "", "").unwrap().read_only(true);
        let names: Vec<&str> = offered(&readers).map(|prompt| prompt.name).collect();
        assert_eq!(names, ["diagnose_vm"]);
    }
}
