//! Consoles as they really write, and as nobody should.

use super::*;

/// The text, and that it is the same however it is cut.
fn text(bytes: &[u8]) -> String {
    let (whole, _) = clean(bytes, 0);
    for at in 0..=bytes.len() {
        let (left, right) = bytes.split_at(at);
        let mut cleaner = Cleaner::new(0);
        let mut all = String::new();
        cleaner.feed(left, &mut |line, _| all.push_str(line));
        cleaner.feed(right, &mut |line, _| all.push_str(line));
        all.push_str(&cleaner.rest());
        assert_eq!(all, whole, "cut at {at}");
    }
    whole
}

#[test]
fn what_consoles_write() {
    for (bytes, read) in [
        (&b"one\r\ntwo\nthree"[..], "one\ntwo\nthree"),
        (
            b"\x1bc\x1b[?7l\x1b[2J\x1b[0mSeaBIOS (version 1)\r\nBooting\r\n\n",
            "SeaBIOS (version 1)\nBooting\n\n",
        ),
        (
            b"[\x1b[0;32m  OK  \x1b[0m] Started \x1b[0;1;39mcron\x1b[0m.\r\n",
            "[  OK  ] Started cron.\n",
        ),
        (b"\x1b]0;root@host: ~\x07root@host:~# ", "root@host:~# "),
        (b"\x1b]0;t\x1b\\a\x1bPq#0\x1b\\b\x1b_x\x1b\\c", "abc"),
        (b"\x1b(B\x1b)0\x0e\x0fx\x1b=\x1b>\x1b7\x1b8\x1b[?25h\x1b[6n\x1b[>c", "x"),
        // Overwritten, taken back, erased.
        (b"10%\r 50%\r100%\r\n", "100%\n"),
        (b"abcdef\rxyz\r\n", "xyzdef\n"),
        (b"abcdef\rxyz\x1b[K\r\n", "xyz\n"),
        (b"500%\x1b[2K\rok\r\n", "ok\n"),
        (b"lx\x08 \x08s\r\n", "ls\n"),
        (b"lsx\x08 \x08", "ls"),
        (b"\x08\x08a\x08\x08\x08b", "b"),
        (b"login: ", "login: "),
        (b"padded    \r\n", "padded\n"),
        // As readline edits: insert one, delete two, move about.
        (b"ac\x08\x1b[1@b\x1b[C!\x08\x08\x1b[2P", "ab"),
        (b"abcd\x1b[3D\x1b[P\x1b[2G\x1b[1K", "  d"),
        (b"a\x1b[5Cb\x1b[3Gc", "a c   b"),
        // A menu at places of the screen becomes lines.
        (
            b"\x1b[H\x1b[2J\x1b[1;1HGNU GRUB\x1b[3;5HDebian\x1b[4;5HAdvanced",
            "GNU GRUB\nDebian\nAdvanced",
        ),
        // Shown, because they mean something to who reads.
        (b"a\x07b\0c\x7fd\x03\x1ae", "a^Gb^@c^?d^C^Ze"),
        (b"tab\tbed", "tab\tbed"),
        ("gr\u{fc}n \u{20ac} \u{1f600}\r\n".as_bytes(), "gr\u{fc}n \u{20ac} \u{1f600}\n"),
        (b"a\xffb\xc3(\xe2\x82\r\n\xf0\x9f\x98", "a\u{fffd}b\u{fffd}(\u{fffd}\n"),
        // A character within a sequence, and a control within one.
        (b"\x1b[3\xc3\xbcx\x1b[3\r\n1my", "\u{fc}x\ny"),
        (b"\x1b[31\x18x\x1b]0;t\x1ay\x1b\x1b[1mz", "xyz"),
        (b"\x1b]no end\r\nlogin: ", "\nlogin: "),
        (b"\xc2\x9bx", "\u{fffd}x"),
    ] {
        assert_eq!(text(bytes), read, "{}", bytes.escape_ascii());
    }
}

#[test]
fn plain_text_is_what_it_was() {
    let plain = "\u{fc}\u{20ac}x\n\nline of 1\u{20ac}\n".repeat(20) + "end";
    assert_eq!(text(plain.as_bytes()), plain);
    // Broken characters as the standard library mends them.
    let mut state = 1_u32;
    for _ in 0..300 {
        let bytes: Vec<u8> = (0..12)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let pool = [0x80, 0xbf, 0xc0, 0xc3, 0xe0, 0xe2, 0xed, 0xf0, 0xf4, 0xf5, b'a', 0xa0];
                pool[usize::try_from(state >> 16).unwrap() % pool.len()]
            })
            .chain([b'.'])
            .collect();
        let lossy = String::from_utf8_lossy(&bytes);
        let lossy = lossy.replace(char::is_control, "\u{fffd}");
        assert_eq!(clean(&bytes, 0).0, lossy, "{bytes:x?}");
    }
}

#[test]
fn positions_are_safe_to_go_on_from() {
    let bytes = "one\r\n\u{1b}[1mtw\u{fc}\u{1b}[0m\r\nlogin: \u{1b}]0;x\u{7}".as_bytes();
    let (whole, end) = clean(bytes, 1000);
    assert_eq!(end, 1000 + bytes.len() as u64);
    // A reader that starts anew wherever the one before stopped reads the same.
    for at in 0..=bytes.len() {
        let (first, next) = clean(&bytes[..at], 1000);
        let skip = usize::try_from(next - 1000).unwrap();
        assert!(skip <= at && at - skip < 6, "{at}: {skip}");
        let (second, _) = clean(&bytes[skip..], next);
        assert_eq!(first + &second, whole, "cut at {at}");
    }
    let mut ends = Vec::new();
    Cleaner::new(7).feed(b"a\r\n\x1b[1mb\n", &mut |line, end| ends.push((line.to_owned(), end)));
    assert_eq!(ends, [("a\n".to_owned(), 10), ("b\n".to_owned(), 16)]);
}

#[test]
fn bounds() {
    let mut cleaner = Cleaner::new(0);
    let mut longest = 0;
    let mut total = 0;
    let mut sink = |line: &str, _| {
        longest = longest.max(line.chars().count());
        total += line.len();
    };
    cleaner.feed(&[b'x'; 100_000], &mut sink);
    cleaner.feed(b"\x1b[65535C\x1b[99999999999999999999@y\x1b[65535Gz\n", &mut sink);
    assert!(longest <= LONGEST + 1 && total < 110_000, "{longest} {total}");
    assert!(cleaner.line.characters.capacity() <= 2 * LONGEST);
    // A sequence without an end swallows so much and no more.
    for opening in ["\x1b[", "\x1b]", "\x1bP", "\x1b("] {
        let bytes = opening.to_owned() + &"1".repeat(3000);
        let (text, position) = clean(bytes.as_bytes(), 0);
        assert!(text.len() >= 3000 - crate::serial::escape::LONGEST, "{opening:?} {}", text.len());
        assert_eq!(position, bytes.len() as u64);
    }
}
