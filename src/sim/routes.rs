//! What is served beside `/sdk`: a path's beginning and a function.

use crate::sim::http::{Answer, Request};
use crate::sim::rest;
use crate::sim::service::Simulator;
use crate::sim::{folder_http, nfc_http};
use crate::sim::{guest_http, screen_http};

/// Answers a request below its path.
pub type Handler = fn(&Simulator, &mut Request) -> Answer;

/// The longest beginning that fits counts.
pub const ROUTES: &[(&str, Handler)] = &[
    (folder_http::FOLDER, folder_http::answer),
    (nfc_http::HOST, nfc_http::answer),
    (nfc_http::VCENTER, nfc_http::answer),
    ("/guestFile", guest_http::answer),
    ("/screen", screen_http::answer),
    ("/rest/", rest::answer),
    ("/api/", rest::answer),
];

/// Who answers this path.
pub fn find(path: &str) -> Option<Handler> {
    let fits = ROUTES.iter().filter(|(prefix, _)| path.starts_with(prefix));
    fits.max_by_key(|(prefix, _)| prefix.len()).map(|(_, handler)| *handler)
}
