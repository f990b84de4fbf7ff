//! Writing to a terminal or a pipe: tables, errors, progress.
//!
//! A reader that goes away early (`| head`) is no error.

use std::io::{IsTerminal, Write};

use crate::error::{Error, Kind, Result};
use crate::hv::call::Progress;

/// A line on standard output; the exit status of success.
pub fn line(text: &str) -> Result<u8> {
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::new(Kind::Remote, format!("standard output cannot be written: {error}")))
        }
        _ => Ok(0),
    }
}

/// What the argument parser has to say: help on standard output, mistakes on standard error.
pub fn early(text: &str, good: bool) -> u8 {
    if good {
        return line(text.trim_end()).unwrap_or(1);
    }
    note(text.trim_end());
    2
}

/// A line on standard error.
pub fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// An error as a person reads it, or as the log's reader does where that wants JSON.
pub fn error(error: &Error) {
    if crate::logging::is_json() {
        return log::error!("{error}");
    }
    note(&format!("jumpvisor: {}", error.in_lines()));
}

/// Columns aligned by spaces, without trailing ones.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = header.iter().map(|it| it.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| {
            format!("{cell}{}", " ".repeat(width - cell.chars().count().min(*width)))
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(header.to_vec())];
    lines.extend(rows.iter().map(|row| line(row.iter().map(String::as_str).collect())));
    lines.join("\n")
}

/// A progress bar on a terminal; nothing elsewhere.
pub fn bar(progress: &Progress) {
    if !std::io::stderr().is_terminal() {
        return;
    }
    let filled = (progress.percent / 5.0).round() as usize;
    let bar = format!("{}{}", "#".repeat(filled.min(20)), ".".repeat(20 - filled.min(20)));
    let _ = write!(
        std::io::stderr().lock(),
        "\r\x1b[K[{bar}] {:3.0} % {}",
        progress.percent,
        crate::error::quoted(&progress.note)
    );
}

/// Takes the progress bar away.
pub fn end_bar() {
    if std::io::stderr().is_terminal() {
        let _ = write!(std::io::stderr().lock(), "\r\x1b[K");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_by_characters() {
        let rows =
            vec![vec!["wäb".to_owned(), "1".to_owned()], vec!["a".to_owned(), "22".to_owned()]];
        assert_eq!(table(&["name", "n"], &rows), "name  n\nwäb   1\na     22");
    }
}
