//! Named guest credentials: `GUEST_CRED_name_USER` and `GUEST_CRED_name_PASSWORD`.
//!
//! It knows no other option. Surprising: the names are compared without case, because a systemd
//! credential is named in small letters while variables often are not; and user and password may
//! come from different sources, since a call and not a file says which guest they are for.

use crate::config::environment::Environment;
use crate::config::problem::{Problem, Problems};
use crate::config::sources;
use crate::config::sources::{Entry, Settings};
use crate::text::secret::Secret;

/// Who logs in to guests, under a name for calls.
#[derive(Clone, Debug)]
pub struct GuestLogin {
    /// In small letters; unique.
    pub name: String,
    pub user: String,
    pub password: Secret,
}

const PREFIX: &str = "GUEST_CRED_";

/// The settings of one name: user, then password.
#[derive(Default)]
struct Pair<'a> {
    name: String,
    halves: [Option<&'a Entry>; 2],
}

const HALVES: [&str; 2] = ["USER", "PASSWORD"];

/// Makes all of them; half a pair is a problem that names the missing half.
pub fn logins(
    settings: &Settings,
    environment: &Environment,
    problems: &mut Problems,
) -> Vec<GuestLogin> {
    let mut pairs: Vec<Pair<'_>> = Vec::new();
    for entry in settings.all().filter(|it| it.named.option.name.starts_with(PREFIX)) {
        let canonical = entry.named.canonical.as_str();
        let is_winner = settings.winner(canonical).is_some_and(|it| std::ptr::eq(it, entry));
        let chosen = canonical.strip_prefix(PREFIX).and_then(|it| it.rsplit_once('_'));
        let Some((name, half)) = chosen.filter(|_| is_winner) else { continue };
        let Some(half) = HALVES.iter().position(|it| *it == half) else { continue };
        let name = name.to_lowercase();
        let at = pairs.iter().position(|it| it.name == name).unwrap_or_else(|| {
            pairs.push(Pair { name, ..Pair::default() });
            pairs.len() - 1
        });
        match pairs[at].halves[half] {
            None => pairs[at].halves[half] = Some(entry),
            Some(other) => {
                let text = format!("means the same as `{}`, keep one", other.written);
                problems.add(settings.problem(entry, text));
            }
        }
    }
    let made = pairs.into_iter().filter_map(|pair| match pair.halves {
        [Some(user), Some(password)] => match sources::reveal(password, environment) {
            Ok(password) => Some(GuestLogin {
                name: pair.name,
                user: user.value.reveal().trim().to_owned(),
                password,
            }),
            Err(fault) => {
                problems.add(settings.problem(password, fault));
                None
            }
        },
        [Some(half), None] | [None, Some(half)] => {
            problems.add_with(|| missing(half));
            None
        }
        [None, None] => None,
    });
    made.collect()
}

/// What is said of half a pair.
fn missing(half: &Entry) -> Problem {
    let canonical = &half.named.canonical;
    let other = match canonical.strip_suffix("_USER") {
        Some(stem) => format!("{stem}_PASSWORD"),
        None => format!("{}_USER", canonical.trim_end_matches("_PASSWORD")),
    };
    Problem::new(other, format!("is not set, `{}` wants it", half.written))
}
