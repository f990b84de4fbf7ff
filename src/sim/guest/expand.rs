//! What a word stands for: quotes taken off, variables, substitutions and patterns filled in.
//!
//! Known are `$NAME`, `${NAME}`, `${NAME:-else}`, `$?`, `$$`, `$#`, `$@`, `$0` to `$9`, `$(...)`, `~`
//! and patterns in the last part of a path; `%NAME%` and `^` for `cmd.exe`, which keeps its quotes.

use crate::sim::guest::shell::Shell;
use crate::sim::guest::shell::Streams;
use crate::sim::guest::words;
use crate::text::glob::Glob;

impl Shell<'_> {
    /// The arguments that a word becomes: none, one or more.
    pub fn expand(&mut self, word: &str, io: &mut Streams) -> Vec<String> {
        if self.is_dos() {
            return vec![self.percent(word)];
        }
        let (mut all, mut own) = (Vec::new(), String::new());
        let (mut quote, mut any, mut pattern) = (None, false, false);
        let mut rest = word;
        if word == "~" || word.starts_with("~/") {
            own = self.vars.get("HOME").cloned().unwrap_or_default();
            rest = word.get(1..).unwrap_or_default();
        }
        while let Some(c) = rest.chars().next() {
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
            match (quote, c) {
                (Some(q), _) if q == c => quote = None,
                (None, '"' | '\'') => (quote, any) = (Some(c), true),
                (None | Some('"'), '\\') => {
                    let next = rest.chars().next();
                    let escapes = quote.is_none() || matches!(next, Some('"' | '\\' | '$' | '`'));
                    match next.filter(|_| escapes) {
                        Some(next) => {
                            rest = rest.get(next.len_utf8()..).unwrap_or_default();
                            own.push(next);
                        }
                        None => own.push(c),
                    }
                }
                (None | Some('"'), '$') => {
                    let (value, behind) = self.dollar(rest, io);
                    rest = behind;
                    if quote.is_some() {
                        own.push_str(&value);
                        continue;
                    }
                    // Outside quotes, a value falls into words.
                    let mut parts = value.split_whitespace().peekable();
                    if value.starts_with(char::is_whitespace) && !own.is_empty() {
                        all.push(std::mem::take(&mut own));
                    }
                    while let Some(part) = parts.next() {
                        own.push_str(part);
                        let more = parts.peek().is_some() || value.ends_with(char::is_whitespace);
                        if more {
                            all.push(std::mem::take(&mut own));
                        }
                    }
                }
                (None, '*' | '?' | '[') => {
                    pattern = true;
                    own.push(c);
                }
                _ => own.push(c),
            }
        }
        if !own.is_empty() || any {
            all.push(own);
        }
        match (pattern, all.as_slice()) {
            (true, [one]) => {
                let found = self.glob(one);
                if found.is_empty() { all } else { found }
            }
            _ => all,
        }
    }

    /// What follows a dollar sign, and what stands behind that.
    fn dollar<'t>(&mut self, text: &'t str, io: &mut Streams) -> (String, &'t str) {
        if let Some(script) = text.strip_prefix('(')
            && let Some(end) = words::inside(script)
        {
            let mut own = Streams::default();
            let (inner, args, name) = (&script[..end], self.args().to_vec(), self.name);
            self.inner(inner, &args, name, &mut own);
            io.put(2, &own.err);
            let value = String::from_utf8_lossy(&own.out).trim_end_matches('\n').to_owned();
            return (value, &script[end + 1..]);
        }
        if let Some((inner, behind)) = text.strip_prefix('{').and_then(|it| it.split_once('}')) {
            let (name, other) = inner.split_once(":-").unwrap_or((inner, ""));
            let value = self.variable(name);
            return (if value.is_empty() { other.to_owned() } else { value }, behind);
        }
        let name = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
        let length = match text.chars().next() {
            Some('?' | '$' | '#' | '@' | '*' | '0'..='9') => 1,
            _ => text.chars().take_while(name).count(),
        };
        match text.split_at(length) {
            ("", behind) => ("$".to_owned(), behind),
            (own, behind) => (self.variable(own), behind),
        }
    }

    fn variable(&self, name: &str) -> String {
        match name {
            "?" => self.status.to_string(),
            "$" => self.guest.serial.to_string(),
            "#" => self.args().len().saturating_sub(1).to_string(),
            "@" | "*" => self.args().get(1..).unwrap_or_default().join(" "),
            "PWD" => self.tree().shown(&self.cwd),
            _ => match name.parse::<usize>() {
                Ok(0) if self.args().is_empty() => self.name.to_owned(),
                Ok(number) => self.args().get(number).cloned().unwrap_or_default(),
                Err(_) => self.vars.get(name).cloned().unwrap_or_default(),
            },
        }
    }

    /// The paths that fit a pattern in its last part.
    fn glob(&self, pattern: &str) -> Vec<String> {
        let (folder, last) = match pattern.rfind('/') {
            Some(at) => pattern.split_at(at + 1),
            None => ("", pattern),
        };
        let glob = Glob::new(last, false);
        let inside = self.tree().children(self.user.id, &self.path(folder)).unwrap_or_default();
        let names = inside.iter().map(|it| it.name());
        let fit =
            names.filter(|it| glob.matches(it) && it.starts_with('.') == last.starts_with('.'));
        fit.map(|it| format!("{folder}{it}")).collect()
    }

    fn percent(&self, word: &str) -> String {
        let mut out = String::new();
        let mut rest = word;
        while let Some(at) = rest.find(['%', '^']) {
            out.push_str(&rest[..at]);
            let caret = rest[at..].starts_with('^');
            rest = &rest[at + 1..];
            match rest.split_once('%').filter(|_| !caret) {
                Some((name, behind)) => {
                    let found = self.vars.iter().find(|it| it.0.eq_ignore_ascii_case(name));
                    match (found, name.to_ascii_lowercase().as_str()) {
                        (Some((_, value)), _) => out.push_str(value),
                        (None, "cd") => out.push_str(&self.tree().shown(&self.cwd)),
                        (None, "errorlevel") => out.push_str(&self.status.to_string()),
                        _ => out.extend(["%", name, "%"]),
                    }
                    rest = behind;
                }
                None if caret => {
                    let next = rest.chars().next().map_or(0, char::len_utf8);
                    out.push_str(&rest[..next]);
                    rest = &rest[next..];
                }
                None => out.push('%'),
            }
        }
        out + rest
    }
}
