//! A command line cut into words and operators, for `sh` and for `cmd.exe`.
//!
//! A word keeps its quotes and variables until it is used, because `X=1; echo $X` needs the order.
//! It knows nothing of commands.

/// A piece of a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// As it was written.
    Word(String),
    /// `;` (a new line too), `&`, `&&`, `|`, `||`, `(`, `)`.
    Sign(&'static str),
    /// `2>`, `>>`, `<`: the descriptor, what to do; the file's name is the next word.
    Redirect(u8, &'static str),
    /// `2>&1`.
    Same(u8, u8),
}

/// Longest script in pieces.
const MOST_TOKENS: usize = 8_192;

const SIGNS: [&str; 8] = ["&&", "||", ";", "&", "|", "(", ")", "\n"];

/// The pieces, or what is wrong.
pub fn cut(text: &str, dos: bool) -> Result<Vec<Token>, &'static str> {
    let mut all = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\r']);
        if !dos && rest.starts_with('#') {
            rest = rest.find('\n').and_then(|at| rest.get(at..)).unwrap_or_default();
        }
        if !dos && let Some(joined) = rest.strip_prefix("\\\n") {
            rest = joined;
            continue;
        }
        if rest.is_empty() {
            return Ok(all);
        }
        if all.len() > MOST_TOKENS {
            return Err("too long");
        }
        let (token, behind) = match redirect(rest) {
            Some(found) => found,
            None => match SIGNS.iter().find(|it| rest.starts_with(**it) && !(dos && **it == ";")) {
                Some(sign) => {
                    let shown = if *sign == "\n" || (dos && *sign == "&") { ";" } else { sign };
                    (Token::Sign(shown), &rest[sign.len()..])
                }
                None => {
                    let end = word(rest, dos)?;
                    let (own, behind) = rest.split_at(end);
                    (Token::Word(own.to_owned()), behind)
                }
            },
        };
        all.push(token);
        rest = behind;
    }
}

/// A redirection at the beginning of the text.
fn redirect(text: &str) -> Option<(Token, &str)> {
    if let Some(rest) = text.strip_prefix("&>") {
        return Some((Token::Redirect(3, ">"), rest));
    }
    let (number, rest) = match text.as_bytes() {
        [b'0'..=b'2', b'>' | b'<', ..] => (text.get(..1)?.parse().ok(), text.get(1..)?),
        _ => (None, text),
    };
    if let Some(rest) = rest.strip_prefix('<') {
        return Some((Token::Redirect(0, "<"), rest));
    }
    let number = number.unwrap_or(1);
    let rest = rest.strip_prefix('>')?;
    if let Some(rest) = rest.strip_prefix('>') {
        return Some((Token::Redirect(number, ">>"), rest));
    }
    match rest.strip_prefix('&').and_then(|it| it.split_at_checked(1)) {
        Some(("1", rest)) => Some((Token::Same(number, 1), rest)),
        Some(("2", rest)) => Some((Token::Same(number, 2), rest)),
        _ => Some((Token::Redirect(number, ">"), rest)),
    }
}

/// Where the word ends with which the text begins.
fn word(text: &str, dos: bool) -> Result<usize, &'static str> {
    let mut chars = text.char_indices();
    let mut quote = None;
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (None, '^') if dos => drop(chars.next()),
            (None | Some('"'), '\\') if !dos => drop(chars.next()),
            (None | Some('"'), '$') if !dos => {
                if let Some(script) = chars.as_str().strip_prefix('(') {
                    let end = inside(script).ok_or("end of file unexpected (expecting \")\")")?;
                    let behind = script.get(end + 1..).unwrap_or_default();
                    let from = text.len() - behind.len();
                    while chars.offset() < from {
                        chars.next();
                    }
                }
            }
            (None, '"') => quote = Some(c),
            (None, '\'') if !dos => quote = Some(c),
            (Some(q), _) if q == c => quote = None,
            (None, ' ' | '\t' | '\n' | '\r' | '&' | '|' | '<' | '>' | '(' | ')') => return Ok(at),
            (None, ';') if !dos => return Ok(at),
            _ => {}
        }
    }
    // cmd.exe takes an open quote as it is.
    if quote.is_some() && !dos { Err("Unterminated quoted string") } else { Ok(text.len()) }
}

/// The length of what stands in `$(` ... `)`, counted from behind the bracket.
pub fn inside(text: &str) -> Option<usize> {
    let (mut open, mut quote) = (1u32, None);
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (None | Some('"'), '\\') => drop(chars.next()),
            (None, '"' | '\'') => quote = Some(c),
            (Some(q), _) if q == c => quote = None,
            (None, '(') => open += 1,
            (None, ')') => {
                open -= 1;
                if open == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, dos: bool) -> String {
        let show = |it: &Token| match it {
            Token::Word(word) => format!("<{word}>"),
            Token::Sign(sign) => (*sign).to_owned(),
            Token::Redirect(number, how) => format!("{number}{how}"),
            Token::Same(from, to) => format!("{from}>&{to}"),
        };
        cut(text, dos).map_or_else(str::to_owned, |all| all.iter().map(show).collect())
    }

    #[test]
    fn words_operators_and_redirections() {
        assert_eq!(shown("(a 'b c') > /x 2> /y", false), "(<a><'b c'>)1></x>2></y>");
        assert_eq!(shown("a&&b||c;d|e 2>&1", false), "<a>&&<b>||<c>;<d>|<e>2>&1");
        assert_eq!(shown("a $(b \"c)\" (d)) e # f\ng", false), "<a><$(b \"c)\" (d))><e>;<g>");
        assert_eq!(shown("echo 'open", false), "Unterminated quoted string");
        assert_eq!(shown("echo it's ^& more & ver", true), "<echo><it's><^&><more>;<ver>");
    }
}
