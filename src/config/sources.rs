//! Where settings come from: flags, environment, systemd credentials, one env file.
//!
//! It knows names and places, not what a value means. Every value is a secret here, because a
//! password may stand in the wrong place. Surprising: an empty value counts as not set, and a
//! `.env` that sets none of our own names belongs to another program and is left alone.

use std::path::Path;

use crate::config::Flags;
use crate::config::envfile::{self, Parsed};
use crate::config::environment::{Environment, LARGEST_ENV_FILE, LARGEST_SECRET_FILE, Unread};
use crate::config::names::{self, Named, Way};
use crate::config::options::{Kind, Opt};
use crate::config::problem::{Problem, Problems};
use crate::error::quoted;
use crate::text::order;
use crate::text::secret::Secret;
use crate::text::sorted::Sorted;

/// A source, the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The command line.
    Flag,
    /// The environment of the process.
    Environment,
    /// systemd's credentials.
    Credential,
    /// The env file.
    File,
}

/// One setting as it was found.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The name as written; a flag's with its dashes, a credential's in lower case.
    pub written: String,
    /// What the name means.
    pub named: Named,
    /// Its source.
    pub place: Place,
    /// The line in the env file, else 0.
    pub line: usize,
    /// The value; for [`Way::File`] and [`Way::SecretPath`] the path of the file that holds it.
    pub value: Secret,
}

/// All settings, and which env file they came from.
#[derive(Debug, Default)]
pub struct Settings {
    by_name: Sorted<String, Vec<Entry>>,
    /// How the env file is called in messages: `.env`, or its path.
    pub file: String,
    /// True if the env file is the `.env` of the working directory.
    pub file_is_local: bool,
}

impl Settings {
    /// The settings of one canonical name, the strongest first.
    pub fn of(&self, canonical: &str) -> &[Entry] {
        self.by_name.get(canonical).map_or(&[], Vec::as_slice)
    }

    /// The strongest setting of a canonical name.
    pub fn winner(&self, canonical: &str) -> Option<&Entry> {
        self.of(canonical).first()
    }

    /// Every setting, by name.
    pub fn all(&self) -> impl Iterator<Item = &Entry> {
        self.by_name.values().flatten()
    }

    /// Where a setting is from: `flag --x`, `environment`, `.env line 3`, `credential x`.
    pub fn origin(&self, entry: &Entry) -> String {
        let place = self.source(entry);
        match entry.named.way {
            Way::File | Way::SecretPath => format!("{place}, {}", entry.written),
            _ => place,
        }
    }

    fn source(&self, entry: &Entry) -> String {
        match entry.place {
            Place::Flag => format!("flag {}", entry.written),
            Place::Environment => "environment".to_owned(),
            Place::Credential => format!("credential {}", entry.written),
            Place::File => format!("{} line {}", self.file, entry.line),
        }
    }

    /// A problem with a setting, placed so that it can be found.
    pub fn problem(&self, entry: &Entry, text: impl Into<String>) -> Problem {
        let place = match entry.place {
            Place::Flag | Place::Environment => entry.written.clone(),
            Place::Credential => format!("credential {}", entry.written),
            Place::File => format!("{} line {}: {}", self.file, entry.line, entry.written),
        };
        Problem::new(place, text)
    }

    fn add(&mut self, entry: Entry, problems: &mut Problems) {
        if entry.value.is_empty() {
            return;
        }
        let known = self.of(&entry.named.canonical);
        let twin =
            known.iter().find(|it| it.place == entry.place && it.named.way == entry.named.way);
        if let Some(twin) = twin {
            if twin.written == entry.written {
                let text = match entry.place {
                    Place::File => format!("is set in line {} already, keep one", twin.line),
                    _ => "is given twice, keep one".to_owned(),
                };
                problems.add(self.problem(&entry, text));
            } else if twin.value.reveal() != entry.value.reveal() {
                let text =
                    format!("`{}` means the same and says otherwise, keep one", twin.written);
                problems.add(self.problem(&entry, text));
            }
            return;
        }
        let entries = self.by_name.get_or(entry.named.canonical.clone(), Vec::new);
        entries.push(entry);
        let strength = |it: &Entry| (it.place, it.named.way);
        *entries = order::by(std::mem::take(entries), &|a, b| strength(a).cmp(&strength(b)));
    }
}

/// Reads every source; `notes` gets what was skipped.
pub fn gather(
    flags: &Flags,
    environment: &Environment,
    problems: &mut Problems,
    notes: &mut Vec<Problem>,
) -> Settings {
    let mut settings = Settings::default();
    add_flags(flags, &mut settings, problems);
    add_variables(environment, &mut settings, problems);
    add_credentials(environment, &mut settings, problems);
    add_file(flags, environment, &mut settings, problems, notes);
    two_ways(&settings, problems);
    settings
}

fn add_flags(flags: &Flags, settings: &mut Settings, problems: &mut Problems) {
    for (name, value) in &flags.set {
        let flag = names::find(name).and_then(|named| Some((named.option.flag?, named)));
        match flag {
            Some((flag, named)) => {
                let (written, value) = (flag.to_owned(), Secret::new(value.clone()));
                let entry = Entry { written, named, place: Place::Flag, line: 0, value };
                settings.add(entry, problems);
            }
            None => problems.add(Problem::new(*name, "has no flag")),
        }
    }
}

fn add_variables(environment: &Environment, settings: &mut Settings, problems: &mut Problems) {
    for (name, value) in &environment.variables {
        let Some(named) = names::find(name) else {
            problems.add_with(|| Problem::new("environment", unknown(name)));
            continue;
        };
        let Some(value) = value.clone() else {
            problems.add(Problem::new(name, "not UTF-8"));
            continue;
        };
        let place = Place::Environment;
        let entry = Entry { written: name.clone(), named, place, line: 0, value };
        settings.add(entry, problems);
    }
}

/// A credential is read at once: systemd keeps it in memory, and there are few.
fn add_credentials(environment: &Environment, settings: &mut Settings, problems: &mut Problems) {
    for name in environment.credential_names() {
        let upper = name.to_ascii_uppercase();
        let place = || format!("credential {name}");
        let secret = |named: &Named| named.way == Way::Value && named.option.kind == Kind::Secret;
        match names::find(&upper).filter(|_| name == name.to_ascii_lowercase()) {
            Some(mut named) if secret(&named) => {
                let Some(folder) = &environment.credentials else { continue };
                match secret_file(environment, &folder.join(&name)) {
                    Ok(value) => {
                        named.way = Way::Credential;
                        let (written, place) = (name, Place::Credential);
                        settings.add(Entry { written, named, place, line: 0, value }, problems);
                    }
                    Err(fault) => problems.add(Problem::new(place(), fault)),
                }
            }
            Some(named) if names::is_claimed(&upper) => {
                let text = format!("no secret, set `{}` instead", named.canonical);
                problems.add(Problem::new(place(), text));
            }
            None if names::is_claimed(&upper) => {
                let meant = names::suggestion(&upper).map(|it| it.to_ascii_lowercase());
                let meant = meant.map_or(String::new(), |it| format!(", did you mean `{it}`?"));
                problems.add(Problem::new(place(), format!("belongs to no option{meant}")));
            }
            _ => {}
        }
    }
}

/// Reads the one env file that counts.
fn add_file(
    flags: &Flags,
    environment: &Environment,
    settings: &mut Settings,
    problems: &mut Problems,
    notes: &mut Vec<Problem>,
) {
    if let Some(path) = &flags.config {
        let label = quoted(&path.to_string_lossy());
        match environment.read(path, LARGEST_ENV_FILE) {
            Ok(bytes) => add_parsed(&label, &envfile::parse(&bytes), settings, problems),
            Err(why) => {
                problems.add(Problem::new("--config", format!("`{label}` {}", why.words())))
            }
        }
        return;
    }
    if !flags.serve && add_local(environment, settings, problems, notes) {
        return;
    }
    let path = environment.system_file();
    let label = path.display().to_string();
    match environment.read(path, LARGEST_ENV_FILE) {
        Ok(bytes) => add_parsed(&label, &envfile::parse(&bytes), settings, problems),
        Err(Unread::Missing) => {}
        Err(Unread::Denied) if !flags.serve => {
            notes.push(Problem::new(label, format!("skipped, it {}", Unread::Denied.words())));
        }
        Err(why) => problems.add(Problem::new(label, why.words())),
    }
}

/// Reads `.env`; false if there is none that counts.
fn add_local(
    environment: &Environment,
    settings: &mut Settings,
    problems: &mut Problems,
    notes: &mut Vec<Problem>,
) -> bool {
    let bytes = match environment.read_local() {
        Ok(bytes) => bytes,
        Err(Unread::Missing) => return false,
        Err(why) => {
            notes.push(Problem::new(".env", format!("skipped, it {}", why.words())));
            return false;
        }
    };
    let parsed = envfile::parse(&bytes);
    if !is_ours(&parsed) {
        if !parsed.settings.is_empty() {
            notes.push(Problem::new(".env", "skipped, it sets nothing of this program alone"));
        }
        return false;
    }
    settings.file_is_local = true;
    add_parsed(".env", &parsed, settings, problems);
    true
}

/// True if a file sets a name that hardly any other program would, or meant to.
fn is_ours(parsed: &Parsed) -> bool {
    let claimed = |name: String| names::is_claimed(&name);
    parsed.settings.iter().take(1_000).any(|setting| match names::find(&setting.name) {
        Some(named) => !names::is_common(named.option),
        None => {
            names::is_claimed(&setting.name)
                || names::suggestion(&setting.name).is_some_and(claimed)
        }
    })
}

fn add_parsed(label: &str, parsed: &Parsed, settings: &mut Settings, problems: &mut Problems) {
    label.clone_into(&mut settings.file);
    let at = |line: usize| format!("{label} line {line}");
    for (line, fault) in &parsed.faults {
        problems.add_with(|| Problem::new(at(*line), *fault));
    }
    for setting in &parsed.settings {
        let (line, written) = (setting.line, setting.name.clone());
        let Some(named) = names::find(&written) else {
            problems.add_with(|| Problem::new(at(line), unknown_in_file(&written)));
            continue;
        };
        match &setting.value {
            Ok(value) => {
                let value = value.clone();
                settings.add(Entry { written, named, place: Place::File, line, value }, problems);
            }
            Err(fault) => {
                let place = format!("{}: {written}", at(line));
                problems.add(Problem::new(place, *fault));
            }
        }
    }
}

/// What is said of an unknown name.
fn unknown(name: &str) -> String {
    if names::is_misnumbered(name) {
        return format!("`{name}` is not an option, further hosts have the numbers 1 to 256");
    }
    if name.starts_with("GUEST_CRED_") {
        let pair = "guest credentials are GUEST_CRED_name_USER and GUEST_CRED_name_PASSWORD";
        return format!("`{name}` is not an option, {pair}");
    }
    match names::suggestion(name) {
        Some(meant) => format!("`{name}` is not an option, did you mean `{meant}`?"),
        None => format!("`{name}` is not an option"),
    }
}

/// The same for a name in a file. One with small letters that is near to nothing is not shown:
/// it may be a line of a key in base64, which ends in `=`.
fn unknown_in_file(name: &str) -> String {
    let small = name.bytes().any(|b| b.is_ascii_lowercase());
    if small && !names::is_claimed(name) && names::suggestion(name).is_none() {
        "the name before `=` is not an option".to_owned()
    } else {
        unknown(name)
    }
}

/// Refuses a secret that comes in two ways from one source, or besides a credential.
fn two_ways(settings: &Settings, problems: &mut Problems) {
    for entries in settings.by_name.values() {
        for (i, entry) in entries.iter().enumerate().skip(1) {
            let rival = entries[..i].iter().find(|it| {
                it.named.way != entry.named.way
                    && (it.place == entry.place
                        || [it.place, entry.place].contains(&Place::Credential))
            });
            if let Some(rival) = rival {
                let (name, source) = (&rival.written, settings.source(rival));
                let text = format!("`{name}` is set too ({source}), keep one of the two");
                problems.add(settings.problem(entry, text));
            }
        }
    }
}

/// The secret of a setting, read from its file if it names one; an error repeats no path, because
/// people put the password itself there.
pub fn reveal(entry: &Entry, environment: &Environment) -> Result<Secret, String> {
    match entry.named.way {
        Way::Value | Way::Credential => Ok(entry.value.clone()),
        Way::File | Way::SecretPath => {
            secret_file(environment, Path::new(entry.value.reveal().trim()))
                .map_err(|fault| format!("the file that it names {fault}"))
        }
    }
}

/// A secret out of a file, without the one newline at its end.
fn secret_file(environment: &Environment, path: &Path) -> Result<Secret, &'static str> {
    let bytes = environment.read(path, LARGEST_SECRET_FILE).map_err(Unread::words)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| "is not UTF-8")?;
    let text = text.strip_suffix('\n').map_or(text, |it| it.strip_suffix('\r').unwrap_or(it));
    if text.is_empty() {
        return Err("is empty");
    }
    if text.chars().any(|c| c.is_control() && c != '\t') {
        return Err("holds more than one line, or a control character");
    }
    Ok(Secret::new(text))
}

/// True for an option that takes part in reaching a server, so that it must not be mixed.
pub fn is_connection(option: &Opt) -> bool {
    let Some((_, part)) = option.name.split_once('_') else { return false };
    names::is_server(option.name)
        && ["HOST", "USER", "PASS", "PASSWORD", "INSECURE", "CA_FILE", "FINGERPRINT"]
            .contains(&part)
}
