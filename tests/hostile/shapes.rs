//! Shapes that are legal, or nearly, and cost a careless reader all of its time or memory.
//!
//! Each is fed at two lengths, and judged by how the work for it grows; no figure in here is a time that
//! somebody would have to wait. Surprising: work is the time that the thread had a processor, so others
//! on the machine hardly count; where they do, the comparison is made again.

use std::time::Duration;

use crate::{LITTLE, signin, targets, within_memory, work};

/// How much longer than the first the second input of a shape is.
const LONGER: usize = 8;

/// How many times the work for the first the second may take: thrice its share. Where work grows with
/// the square of the length, it takes 64 times as much.
const GROWTH: u32 = 24;

/// How often two lengths are compared, before too much is too much.
const TRIES: usize = 3;

/// What the name says, how long it becomes, and how it is made at any length.
type Shape = (&'static str, usize, fn(usize) -> String);

fn envelope(inside: &str) -> String {
    format!(
        "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\"><e:Body>\
         <RetrievePropertiesExResponse xmlns=\"urn:vim25\"><returnval>{inside}</returnval>\
         </RetrievePropertiesExResponse></e:Body></e:Envelope>"
    )
}

/// The same of each number below a length.
fn each(length: usize, one: fn(usize) -> String) -> String {
    (0..length).map(one).collect()
}

/// `open` so many times, something, and `close` as often.
fn nested(length: usize, open: &str, inside: &str, close: &str) -> String {
    format!("{}{inside}{}", open.repeat(length), close.repeat(length))
}

/// Texts of which each has the one before it twice.
fn entities(length: usize) -> String {
    let all = each(length, |it| format!("<!ENTITY l{} \"&l{it};&l{it};\">", it + 1));
    let used = envelope(&format!("&l{length};"));
    format!("<!DOCTYPE a [<!ENTITY l0 \"lol\">{all}]>{used}")
}

fn chunked(body: &str) -> String {
    format!("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}")
}

#[rustfmt::skip]
const SHAPES: &[Shape] = &[
    ("depth", 200_000, |n| envelope(&"<a>".repeat(n))),
    ("closed depth", 50_000, |n| envelope(&nested(n, "<a>", "", "</a>"))),
    ("attributes", 20_000, |n| envelope(&format!("<objects{}/>", each(n, |it| format!(" a{it}='1'"))))),
    ("namespaces", 5_000, |n| envelope(&each(n, |it| format!("<n xmlns:a{it}='u:{it}'>")))),
    ("entities", 24, entities),
    ("one long text", 400_000, |n| envelope(&"x".repeat(n))),
    ("one long name", 400_000, |n| format!("<{}/>", "n".repeat(n))),
    ("many objects", 500, |n| envelope(&"<objects><obj type=\"Folder\">f</obj></objects>".repeat(n))),
    ("deep JSON", 400_000, |n| "[".repeat(n)),
    ("closed deep JSON", 100_000, |n| nested(n, "[", "", "]")),
    ("deep argument", 50_000, |n| format!("{{\"name\":{}}}", nested(n, "[", "1", "]"))),
    ("many arguments", 200_000, |n| format!("{{\"spec\":[{}1]}}", "1,".repeat(n))),
    ("many unknown types", 15_000, |n| {
        format!("{{\"changedValue\":[{}1]}}", "{\"_typeName\":\"X\"},".repeat(n))
    }),
    ("many small chunks", 50_000, |n| chunked(&"1;x\r\na\r\n".repeat(n))),
    ("many empty lines", 100_000, |n| "\r\n".repeat(n)),
    ("one long header", 400_000, |n| format!("GET / HTTP/1.1\r\nA: {}", "b".repeat(n))),
    ("many requests", 500, |n| "GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(n)),
    ("many settings", 30_000, |n| "ESXI_HOST=a\n".repeat(n)),
    ("many mistakes", 100_000, |n| "=\n".repeat(n)),
];

#[rustfmt::skip]
const OF_STRANGERS: &[Shape] = &[
    ("dots", 400_000, |n| ".".repeat(n)),
    ("depth", 400_000, |n| "[".repeat(n)),
    ("keys", 30_000, |n| format!("{{\"keys\":[{}1]}}", "{\"kty\":\"RSA\"},".repeat(n))),
    ("audiences", 100_000, |n| format!("{{\"aud\":[{}1]}}", "\"a\",".repeat(n))),
    ("groups", 50_000, |n| "g=read,".repeat(n)),
    ("bad groups", 50_000, |n| "g=raed,".repeat(n)),
    ("lines", 5_000, |n| format!("a:b:{}\n", "ab".repeat(32)).repeat(n)),
];

/// The work may grow as the input does, and not much faster.
fn swell(shapes: &[Shape], target: fn(&[u8])) {
    for (name, length, shape) in shapes {
        let [short, long] = [length / LONGER, *length].map(|it| shape(it).into_bytes());
        let mut seen: Vec<(Duration, Duration)> = Vec::new();
        while seen.last().is_none_or(|(one, other)| *other > (GROWTH * *one).max(LITTLE)) {
            assert!(
                seen.len() < TRIES,
                "{name}: {LONGER} times the length makes more than {GROWTH} times the work: {seen:?}"
            );
            let one = work(name, &short, target);
            seen.push((one, work(name, &long, target)));
        }
    }
    within_memory();
}

#[test]
fn shapes_that_explode() {
    let all: [fn(&[u8]); 7] = [
        targets::soap_answer,
        targets::split,
        targets::inventory,
        targets::json,
        targets::api_arguments,
        targets::envfile,
        targets::http_requests,
    ];
    all.into_iter().for_each(|target| swell(SHAPES, target));
}

#[test]
fn shapes_of_strangers_that_explode() {
    [signin::token, signin::keys].into_iter().for_each(|target| swell(OF_STRANGERS, target));
}
