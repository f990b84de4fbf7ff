//! Finding methods, types and fields of the API by words.
//!
//! It looks at names only, which are all that the schema has. Surprising: `power on` finds
//! `PowerOnVM_Task` as well as `poweron` does, but the first ranks by whole words of the name.

use crate::text::order;
use crate::vim::table::{Field, Method, Type, TypeKind, methods, types};

/// Words of one query; more than a person would ask for.
const MOST_WORDS: usize = 8;

/// What people say and names do not.
const FILLERS: &[&str] =
    &["a", "an", "all", "for", "from", "get", "in", "list", "of", "show", "the", "to"];

/// Something of the API that has a name.
#[derive(Clone, Copy, Debug)]
pub enum Found {
    Method(Method),
    Type(Type),
    /// A property of a managed type, or a field of a data object.
    Field(Field),
    /// A word of an enum.
    Word(Type, &'static str),
}

impl Found {
    /// The type that it belongs to, and its own name.
    fn names(&self) -> (&'static str, &'static str) {
        match self {
            Found::Method(it) => (it.owner().name(), it.name()),
            Found::Type(it) => ("", it.name()),
            Found::Field(it) => (it.owner.name(), it.name),
            Found::Word(of, word) => (of.name(), word),
        }
    }

    /// As one asks for it again: `VirtualMachine.PowerOnVM_Task`, `VirtualDisk`.
    pub fn name(&self) -> String {
        match self.names() {
            ("", own) => own.to_owned(),
            (owner, own) => format!("{owner}.{own}"),
        }
    }

    /// What is asked for most comes first where names fit equally well.
    fn order(&self) -> usize {
        match self {
            Found::Method(_) => 0,
            Found::Type(it) if it.kind() == TypeKind::Managed => 1,
            Found::Type(_) => 2,
            Found::Field(it) if it.owner.kind() == TypeKind::Managed => 3,
            Found::Field(_) => 4,
            Found::Word(..) => 5,
        }
    }
}

/// Everything that has all words of the query in its name, best first; where nothing has, what has
/// most of them. None for no words.
pub fn find(query: &str) -> Vec<Found> {
    let mut words = words_of(query);
    for missing in 0..=MOST_WORDS {
        if words.is_empty() || words.len() > MOST_WORDS || missing > words.len().div_ceil(2) {
            break;
        }
        // First as it was asked, then without what people say and names do not.
        let found = with_words(&words, missing.saturating_sub(1));
        if !found.is_empty() {
            return found;
        }
        if missing == 0 {
            words.retain(|it| !FILLERS.contains(&it.as_str()));
            words.iter_mut().for_each(simplify);
        }
    }
    Vec::new()
}

/// `vms` is what names call virtual machines, and `groups` are in names as `group`.
fn simplify(word: &mut String) {
    match word.as_str() {
        "vm" | "vms" => "virtualmachine".clone_into(word),
        many if many.len() > 3 && many.ends_with('s') => drop(word.pop()),
        _ => {}
    }
}

fn with_words(words: &[String], missing: usize) -> Vec<Found> {
    let mut hits: Vec<(usize, usize, Found)> = Vec::new();
    let mut try_one = |found: Found| {
        let (owner, own) = found.names();
        if let Some(rank) = rank(words, missing, owner, own) {
            let behind = found.order();
            hits.push((rank + behind.saturating_sub(2) * 3, behind, found));
        }
    };
    for it in methods() {
        try_one(Found::Method(it));
    }
    for ty in types().filter(|it| it.kind() != TypeKind::Primitive) {
        try_one(Found::Type(ty));
        ty.own_fields().for_each(|field| try_one(Found::Field(field)));
        ty.values().for_each(|word| try_one(Found::Word(ty, word)));
    }
    let key = |(rank, order, it): &(usize, usize, Found)| {
        format!("{rank:9}{order:9}{:9}{}", it.name().len(), it.name())
    };
    order::by_key(hits, key).into_iter().map(|(.., it)| it).collect()
}

/// The words of a query or a name in small letters: `PowerOnVM_Task` is power, on, vm, task.
fn words_of(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().take(200).collect();
    let (mut all, mut word) = (Vec::new(), String::new());
    for (at, c) in chars.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|it| chars.get(it));
        let after = chars.get(at + 1);
        let begins = c.is_uppercase()
            && (before.is_some_and(|it| !it.is_uppercase())
                || after.is_some_and(|it| it.is_lowercase()));
        if (begins || !c.is_alphanumeric()) && !word.is_empty() {
            all.push(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
    }
    if !word.is_empty() {
        all.push(word);
    }
    all
}

/// How badly the words fit, 0 for the very name; `None` where more of them are missing than may.
fn rank(words: &[String], mut may_miss: usize, owner: &str, own: &str) -> Option<usize> {
    let (owner_low, low) = (owner.to_ascii_lowercase(), own.to_ascii_lowercase());
    let missing =
        |word: &&String| !low.contains(word.as_str()) && !owner_low.contains(word.as_str());
    if words.iter().filter(missing).count() > may_miss {
        return None;
    }
    let (parts, owner_parts) = (words_of(own), words_of(owner));
    let bare = |parts: &[String]| parts.concat().trim_end_matches("task").to_owned();
    let asked = bare(words);
    if asked == bare(&parts) || asked == bare(&[&owner_parts[..], &parts[..]].concat()) {
        return Some(0);
    }
    let fit = |word: &String, name: &str, parts: &[String]| {
        let fits = [
            parts.contains(word),
            parts.iter().any(|part| part.starts_with(word.as_str())),
            // Three letters are somewhere in half of all names.
            word.len() > 3 && name.contains(word.as_str()),
        ];
        fits.iter().position(|it| *it)
    };
    let mut sum = 1;
    for word in words {
        sum += match (fit(word, &low, &parts), fit(word, &owner_low, &owner_parts)) {
            (Some(worse), _) => 1 + worse * 2,
            (None, Some(worse)) => 2 + worse * 2,
            (None, None) if may_miss > 0 => {
                may_miss -= 1;
                0
            }
            (None, None) => return None,
        };
    }
    // A name that says much beside what was asked fits less.
    Some(sum + parts.len().saturating_sub(words.len()).min(4))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(query: &str) -> String {
        find(query).first().map(Found::name).unwrap_or_default()
    }

    #[test]
    fn names_fall_into_words() {
        let of = |text| words_of(text).join(" ");
        assert_eq!(of("PowerOnVM_Task"), "power on vm task");
        assert_eq!(of("HostNtpConfig dns-Name"), "host ntp config dns name");
        assert_eq!(of("ClusterEVCManager"), "cluster evc manager");
        assert_eq!(of("é Ü ../%00"), "é ü 00");
        assert_eq!(of(" -"), "");
    }

    #[test]
    fn the_best_name_comes_first() {
        assert_eq!(first("power on"), "VirtualMachine.PowerOnVM_Task");
        assert_eq!(first("poweronvm_task"), "VirtualMachine.PowerOnVM_Task");
        assert_eq!(first("VirtualDisk"), "VirtualDisk");
        assert_eq!(first("virtual machine reconfig"), "VirtualMachine.ReconfigVM_Task");
        let off = find("poweredoff");
        let state = "VirtualMachinePowerState.poweredOff";
        assert!(off.iter().take(10).any(|it| it.name() == state), "{off:?}");
        assert_eq!(
            first("VirtualMachine.guestHeartbeatStatus"),
            "VirtualMachine.guestHeartbeatStatus"
        );
        assert!(find("disk").len() > 100 && find("nonsense").is_empty());
        assert!(find("").is_empty() && find(&"a ".repeat(50)).is_empty());
    }

    #[test]
    fn where_no_name_has_all_words_those_with_most_are_told() {
        for (query, name) in [
            ("list port groups", "PortGroup"),
            ("performance counters", "PerformanceManager.QueryPerfCounter"),
            ("change extra config of a virtual machine", "VirtualMachineConfigSpec.extraConfig"),
            ("vm power states", "VirtualMachinePowerState"),
        ] {
            let found = find(query);
            let near = found.iter().take(4).any(|it| it.name().contains(name));
            assert!(near, "{query}: {:?}", &found[..found.len().min(6)]);
        }
        assert!(find("nonsense rubbish").is_empty() && find("of the").is_empty());
    }
}
