//! How a shell reads its words: lists, pipes, groups, and where output goes.
//!
//! What is not run (`live` is false) is read all the same, to find its end.

use crate::sim::guest::dos;
use crate::sim::guest::shell::MOST_DEPTH;
use crate::sim::guest::shell::Shell;
use crate::sim::guest::shell::Streams;
use crate::sim::guest::shell::is_name;
use crate::sim::guest::tree::Act;
use crate::sim::guest::words::Token;

impl Shell<'_> {
    /// Runs a list of commands up to a sign or word that ends it.
    pub fn list(&mut self, tokens: &[Token], at: &mut usize, io: &mut Streams, live: bool) {
        loop {
            while matches!(tokens.get(*at), Some(Token::Sign(";" | "&"))) {
                *at += 1;
            }
            match tokens.get(*at) {
                None => return,
                Some(Token::Sign(sign)) if *sign != "(" => return,
                Some(Token::Word(word)) if word == "}" && !self.is_dos() => return,
                _ => {}
            }
            self.and_or(tokens, at, io, live && !self.ended);
            if !matches!(tokens.get(*at), Some(Token::Sign(";" | "&"))) {
                return;
            }
        }
    }

    fn and_or(&mut self, tokens: &[Token], at: &mut usize, io: &mut Streams, live: bool) {
        self.pipeline(tokens, at, io, live);
        while let Some(Token::Sign(sign @ ("&&" | "||"))) = tokens.get(*at) {
            *at += 1;
            while tokens.get(*at) == Some(&Token::Sign(";")) && !self.is_dos() {
                *at += 1;
            }
            let wanted = (self.status == 0) == (*sign == "&&");
            self.pipeline(tokens, at, io, live && wanted && !self.ended);
        }
    }

    fn pipeline(&mut self, tokens: &[Token], at: &mut usize, io: &mut Streams, live: bool) {
        let not = tokens.get(*at) == Some(&Token::Word("!".to_owned()));
        *at += usize::from(not);
        let mut input = io.input.clone();
        loop {
            let mut own = Streams { input, merged: io.merged, ..Streams::default() };
            let merged = std::mem::take(&mut own.merged);
            self.command(tokens, at, &mut own, live);
            let piped = tokens.get(*at) == Some(&Token::Sign("|"));
            if merged && !piped {
                io.put(1, &own.out);
                io.put(1, &own.err);
                break;
            }
            io.put(2, &own.err);
            if !piped {
                io.put(1, &own.out);
                break;
            }
            *at += 1;
            input = own.out;
        }
        if not && live {
            self.status = i32::from(self.status == 0);
        }
    }

    fn command(&mut self, tokens: &[Token], at: &mut usize, io: &mut Streams, live: bool) {
        let word = match tokens.get(*at) {
            Some(Token::Word(word)) => word.as_str(),
            Some(Token::Sign("(")) => "(",
            _ => "",
        };
        let compound = word == "(" || (!self.is_dos() && word == "{");
        if !compound {
            return self.simple(tokens, at, io, live);
        }
        // Its redirections stand behind it, and its files are opened before it runs.
        let from = *at;
        self.compound(word, tokens, at, &mut Streams::default(), false);
        let mut routes = Routes::default();
        let opened = self.routes(tokens, at, &mut routes, io, live);
        if live && opened {
            let mut own = Streams { input: routes.input(io), ..Streams::default() };
            self.compound(word, tokens, &mut from.clone(), &mut own, true);
            self.deliver(&routes, own, io);
        }
    }

    fn expect(&mut self, word: &str, tokens: &[Token], at: &mut usize, io: &mut Streams) {
        let found = match tokens.get(*at) {
            Some(Token::Word(own)) => own == word,
            Some(Token::Sign(own)) => *own == word,
            _ => false,
        };
        if found {
            *at += 1;
        } else if *at <= tokens.len() {
            self.wrong(&format!("Syntax error: \"{word}\" expected"), io);
            // Nothing behind it is run.
            *at = tokens.len() + 1;
            self.ended = true;
        }
    }

    fn compound(
        &mut self,
        kind: &str,
        tokens: &[Token],
        at: &mut usize,
        io: &mut Streams,
        live: bool,
    ) {
        *at += 1;
        self.depth += 1;
        match kind {
            _ if self.depth > MOST_DEPTH => self.wrong("Syntax error: too deep", io),
            "(" => {
                let kept = (self.cwd.clone(), self.vars.clone());
                self.list(tokens, at, io, live);
                if live {
                    (self.cwd, self.vars) = kept;
                    self.ended = false;
                }
                self.expect(")", tokens, at, io);
            }
            _ => {
                self.list(tokens, at, io, live);
                self.expect("}", tokens, at, io);
            }
        }
        self.depth -= 1;
    }

    fn simple(&mut self, tokens: &[Token], at: &mut usize, io: &mut Streams, live: bool) {
        let (mut all, mut routes, from) = (Vec::new(), Routes::default(), *at);
        let mut assigned = Vec::new();
        let mut opened = true;
        loop {
            match tokens.get(*at) {
                Some(Token::Word(word)) => {
                    *at += 1;
                    if !live {
                        continue;
                    }
                    let assigns = !self.is_dos() && all.is_empty();
                    match word.split_once('=').filter(|it| assigns && is_name(it.0)) {
                        Some((name, value)) => {
                            let value = self.expand(value, io).join(" ");
                            assigned.push((name.to_owned(), value));
                        }
                        None => all.extend(self.expand(word, io)),
                    }
                }
                Some(Token::Redirect(..) | Token::Same(..)) => {
                    opened &= self.routes(tokens, at, &mut routes, io, live && opened);
                }
                _ => break,
            }
        }
        if *at == from {
            // Neither a word nor a redirection: a stray sign ends the script.
            *at = tokens.len() + 1;
            if live {
                self.wrong("Syntax error: unexpected", io);
                self.ended = true;
            }
            return;
        }
        if !live || !opened {
            return;
        }
        let Some(left) = self.steps.checked_sub(1) else {
            (self.status, self.ended) = (137, true);
            return;
        };
        self.steps = left;
        let kept = (!all.is_empty() && !assigned.is_empty()).then(|| self.vars.clone());
        self.vars.extend(assigned);
        let mut own = Streams { input: routes.input(io), ..Streams::default() };
        self.status = if all.is_empty() { 0 } else { self.call(&all, &mut own) };
        if let Some(kept) = kept {
            self.vars = kept;
        }
        self.deliver(&routes, own, io);
    }

    /// Reads the redirections that stand here and opens their files.
    fn routes(
        &mut self,
        tokens: &[Token],
        at: &mut usize,
        routes: &mut Routes,
        io: &mut Streams,
        live: bool,
    ) -> bool {
        let mut opened = true;
        loop {
            match tokens.get(*at) {
                Some(Token::Same(from, to)) => {
                    *at += 1;
                    let target = routes.of(*to).clone();
                    *routes.of(*from) = target;
                }
                Some(Token::Redirect(from, how)) => {
                    *at += 2;
                    let Some(Token::Word(word)) = tokens.get(*at - 1) else {
                        if live {
                            self.wrong("Syntax error: word expected", io);
                        }
                        return false;
                    };
                    if live && opened {
                        let file = dos::bare_path(&self.expand(word, io).join(" "), self.is_dos());
                        opened = self.open(*from, how, &file, routes, io);
                    }
                }
                _ => return opened,
            }
        }
    }

    fn open(
        &mut self,
        from: u8,
        how: &str,
        file: &str,
        routes: &mut Routes,
        io: &mut Streams,
    ) -> bool {
        let nothing = file == "/dev/null" || (self.is_dos() && file.eq_ignore_ascii_case("nul"));
        let result = match how {
            _ if nothing => Ok(None),
            "<" => self.tree().read(self.user.id, &self.path(file)).map(|it| Some(it.to_vec())),
            ">" => self.change(Act::Write, file, b"").map(|()| None),
            _ => self.change(Act::Append, file, b"").map(|()| None),
        };
        let target = if nothing { Target::Nothing } else { Target::File(self.path(file)) };
        match result {
            Ok(read) if how == "<" => routes.input = Some(read.unwrap_or_default()),
            Ok(_) if from == 3 => (routes.out, routes.err) = (target.clone(), target),
            Ok(_) => *routes.of(from) = target,
            Err(trouble) => {
                let text = match (self.is_dos(), self.name, how) {
                    (true, ..) => "The system cannot find the path specified.".to_owned(),
                    (_, "bash", _) => format!("{file}: {}", trouble.words()),
                    (_, _, "<") => format!("cannot open {file}: {}", trouble.words()),
                    _ => format!("cannot create {file}: {}", trouble.words()),
                };
                self.complain(&text, io);
                self.status = if self.name == "sh" { 2 } else { 1 };
                return false;
            }
        }
        true
    }

    fn deliver(&mut self, routes: &Routes, own: Streams, io: &mut Streams) {
        for (target, bytes) in [(&routes.out, own.out), (&routes.err, own.err)] {
            match target {
                Target::Out => io.put(1, &bytes),
                Target::Err => io.put(2, &bytes),
                Target::Nothing => {}
                Target::File(_) if bytes.is_empty() => {}
                Target::File(path) => {
                    let shown = self.tree().shown(path);
                    if let Err(trouble) = self.change(Act::Append, &shown, &bytes) {
                        io.complain(&format!("write error: {}\n", trouble.words()));
                        self.status = 1;
                    }
                }
            }
        }
    }
}

#[derive(Clone, Default)]
enum Target {
    #[default]
    Out,
    Err,
    File(String),
    Nothing,
}

struct Routes {
    input: Option<Vec<u8>>,
    out: Target,
    err: Target,
}

impl Default for Routes {
    fn default() -> Routes {
        Routes { input: None, out: Target::Out, err: Target::Err }
    }
}

impl Routes {
    fn of(&mut self, number: u8) -> &mut Target {
        if number == 2 { &mut self.err } else { &mut self.out }
    }

    fn input(&mut self, io: &mut Streams) -> Vec<u8> {
        self.input.take().unwrap_or_else(|| std::mem::take(&mut io.input))
    }
}
