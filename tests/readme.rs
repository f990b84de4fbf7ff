//! The README's tables of tools and toolsets are what the program has. UPDATE=1 writes them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

use jumpvisor::tools::docs;

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");

#[test]
fn the_readme_lists_the_tools_that_there_are() {
    let mut readme = std::fs::read_to_string(README).unwrap();
    for (name, wanted) in [("toolsets", docs::toolsets()), ("tools", docs::summary())] {
        let (begin, end) = (format!("<!-- {name}: begin -->\n"), format!("<!-- {name}: end -->"));
        let (before, rest) = readme.split_once(&begin).expect("README.md lacks a first mark");
        let (listed, after) = rest.split_once(&end).expect("README.md lacks a second mark");
        if std::env::var_os("UPDATE").is_some() {
            readme = format!("{before}{begin}\n{}\n\n{end}{after}", wanted.trim());
            std::fs::write(README, &readme).unwrap();
            continue;
        }
        let odd = listed.trim_start().lines().zip(wanted.lines()).find(|(is, be)| is != be);
        assert!(
            listed.trim() == wanted.trim(),
            "README.md's {name} are not the program's (UPDATE=1 cargo test --test readme writes them): {odd:?}"
        );
    }
}
