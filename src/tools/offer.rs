//! Which tools a caller is offered: the same answer for the list and for the call.
//!
//! Surprising: `--read-only` beats everything, also a tool that is named by `--tools`.

use crate::error::{Error, Kind, Result};
use crate::text::nearest::nearest;
use crate::tools::args::Args;
use crate::tools::{Effect, FAMILIES, Family, Level, Tool, all, find};

/// What the configuration lets callers see.
#[derive(Clone, Debug, Default)]
pub struct Offer {
    /// Family names; `None` for the default set.
    toolsets: Option<Vec<String>>,
    tools: Vec<String>,
    excluded: Vec<String>,
    read_only: bool,
    no_destructive: bool,
    /// The most that the one who asks may do anywhere; nothing for whom that is not asked.
    most: Option<Level>,
}

impl Offer {
    /// Every tool there is; what the command line works with.
    pub fn everything() -> Offer {
        let names = FAMILIES.iter().map(|family| family.name.to_owned()).collect();
        Offer { toolsets: Some(names), ..Offer::default() }
    }

    /// Comma lists of families, of tools to add, and of tools to leave out; `all` and `default`
    /// stand for sets of families. A name that is not known is an error with the near one.
    pub fn parse(toolsets: Option<&str>, tools: &str, excluded: &str) -> Result<Offer> {
        let tool_names = |text: &str| -> Result<Vec<String>> {
            words(text).map(|word| known_tool(word).map(str::to_owned)).collect()
        };
        let tools = tool_names(tools)?;
        let toolsets = match toolsets {
            Some(text) => Some(families(text)?),
            None if tools.is_empty() => None,
            None => Some(Vec::new()),
        };
        Ok(Offer { toolsets, tools, excluded: tool_names(excluded)?, ..Offer::default() })
    }

    /// Offer only tools that read.
    pub fn read_only(mut self, read_only: bool) -> Offer {
        self.read_only = read_only;
        self
    }

    /// Leave out tools that can lose data or stop a service.
    pub fn no_destructive(mut self, no_destructive: bool) -> Offer {
        self.no_destructive = no_destructive;
        self
    }

    /// The same for one who may do this much somewhere.
    pub fn up_to(&self, most: Level) -> Offer {
        Offer { most: Some(most), ..self.clone() }
    }

    /// Whether only tools that read are offered.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Refuses arguments that would write on this machine where nothing may be changed.
    pub fn allow_here(&self, args: &Args) -> Result<()> {
        match args.written_here().filter(|_| self.read_only) {
            None => Ok(()),
            Some(name) => {
                let said = format!("`{name}` writes a file on this machine, which is not allowed");
                Err(Error::new(Kind::Denied, said).hint("This server is read-only (READ_ONLY)"))
            }
        }
    }

    /// Whether this tool is offered.
    pub fn has(&self, family: &Family, tool: &Tool) -> bool {
        self.refusal(family, tool).is_none()
    }

    /// Why this tool is not offered, if it is not: the setting that is to blame.
    pub fn refusal(&self, family: &Family, tool: &Tool) -> Option<&'static str> {
        let named = |list: &[String]| list.iter().any(|name| name == tool.name);
        let by_family = match &self.toolsets {
            None => family.default,
            Some(names) => names.iter().any(|name| name == family.name),
        };
        if self.read_only && tool.effect != Effect::Reads {
            Some("This server is read-only (READ_ONLY)")
        } else if self.no_destructive && tool.effect == Effect::Destroys {
            Some(
                "It can lose data or stop a service, which NO_DESTRUCTIVE or --no-destructive rules out",
            )
        } else if self.most.is_some_and(|it| it < tool.level) {
            Some("It needs more rights than you have")
        } else if named(&self.excluded) {
            Some("It is left out by --exclude-tools")
        } else if !(by_family || named(&self.tools)) {
            Some("Its family can be added with TOOLSETS or --toolsets, or it alone with --tools")
        } else {
            None
        }
    }

    /// The offered tools, in the order of listing.
    pub fn list(&self) -> impl Iterator<Item = &'static Tool> + '_ {
        all().filter(|(family, tool)| self.has(family, tool)).map(|(_, tool)| tool)
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty())
}

fn families(text: &str) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for word in words(text) {
        let chosen = |family: &&Family| match word {
            "all" => true,
            "default" => family.default,
            word => family.name == word,
        };
        let before = names.len();
        names.extend(FAMILIES.iter().filter(chosen).map(|family| family.name.to_owned()));
        if names.len() == before {
            let known: Vec<&str> = FAMILIES.iter().map(|family| family.name).collect();
            return Err(Error::usage(format!("no toolset is called `{word}`"))
                .hint(format!("Known: default, all, {}", known.join(", "))));
        }
    }
    Ok(names)
}

fn known_tool(word: &str) -> Result<&'static str> {
    find(word).map(|(_, tool)| tool.name).ok_or_else(|| unknown_tool(word))
}

/// The error for a tool that does not exist, with the near name.
pub fn unknown_tool(word: &str) -> Error {
    let error = Error::usage(format!("no tool is called `{}`", crate::error::quoted(word)));
    match nearest(word, all().map(|(_, tool)| tool.name)) {
        Some(near) => error.hint(format!("Did you mean `{near}`?")),
        None => error.hint("`jumpvisor tools` and tools/list show them"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(offer: &Offer) -> Vec<&'static str> {
        offer.list().map(|tool| tool.name).collect()
    }

    #[test]
    fn sets_tools_and_exclusions_add_up() {
        let offer = Offer::parse(Some("power"), "list_vms", "reset_vm").unwrap();
        assert!(names(&offer).contains(&"list_vms") && names(&offer).contains(&"power_on"));
        assert!(!names(&offer).contains(&"reset_vm") && !names(&offer).contains(&"delete_vm"));
        assert_eq!(names(&Offer::parse(None, "list_vms", "").unwrap()), ["list_vms"]);
        let all = Offer::parse(Some("all"), "", "").unwrap();
        assert_eq!(names(&all), names(&Offer::everything()));
    }

    #[test]
    fn read_only_beats_everything() {
        let offer = Offer::parse(Some("all"), "delete_vm", "").unwrap().read_only(true);
        assert!(offer.list().all(|tool| tool.effect == Effect::Reads));
        let mild = Offer::parse(Some("all"), "", "").unwrap().no_destructive(true);
        assert!(names(&mild).contains(&"power_on") && !names(&mild).contains(&"delete_vm"));
    }

    #[test]
    fn the_setting_that_is_to_blame_is_named() {
        let why = |offer: Offer| {
            let (family, tool) = find("power_off").unwrap();
            offer.refusal(family, tool).unwrap_or("offered")
        };
        let all = || Offer::everything();
        assert_eq!(why(all()), "offered");
        assert!(why(all().read_only(true).no_destructive(true)).contains("READ_ONLY"));
        assert!(why(all().no_destructive(true)).contains("--no-destructive"));
        assert!(why(Offer::parse(None, "", "power_off").unwrap()).contains("--exclude-tools"));
        assert!(why(Offer::parse(Some("vm"), "", "").unwrap()).contains("TOOLSETS"));
    }

    #[test]
    fn wrong_names_are_told_with_the_right_ones() {
        let said = |offer: Result<Offer>| offer.err().map(|it| it.to_string()).unwrap_or_default();
        assert!(said(Offer::parse(Some("vms"), "", "")).contains("Known: default, all, vm, power"));
        assert!(said(Offer::parse(None, "list_vm", "")).contains("Did you mean `list_vms`?"));
    }
}
