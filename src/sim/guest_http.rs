//! `/guestFile`: files into guests and out of them, by the URLs of guest operations.
//!
//! The token is all the permission that is needed. Surprising: a transfer that came to nothing
//! leaves the URL good, one that came through does not.

use std::io::Read;

use crate::sim::guest_ops::{Transfer, reach};
use crate::sim::guests;
use crate::sim::guests::Shared;
use crate::sim::http::{Answer, Request};
use crate::sim::service::{Simulator, refuse};
use crate::text::percent;

/// Answers `/guestFile?id=1&token=52...`.
pub fn answer(simulator: &Simulator, request: &mut Request) -> Answer {
    carried(simulator, request).unwrap_or_else(refuse)
}

type Done<T> = Result<T, u16>;

fn carried(simulator: &Simulator, request: &mut Request) -> Done<Answer> {
    let asked = percent::query(request.query()).map_err(|_| 400_u16)?;
    let asked = |name: &str| asked.iter().find(|it| it.0 == name).map(|it| it.1.as_str());
    let number: u64 = asked("id").and_then(|it| it.parse().ok()).ok_or(404_u16)?;
    let sends = match request.method {
        "GET" => false,
        "PUT" => true,
        _ => return Err(405),
    };
    let transfer = {
        let mut world = simulator.world();
        let now = world.now;
        world.guests.transfers.take(number, asked("token").unwrap_or_default(), sends, now)?
    };
    let done = match &transfer.new {
        None => fetched(simulator, &transfer),
        Some((size, _)) => sent(simulator, request, &transfer, *size),
    };
    if done.is_err() {
        simulator.world().guests.transfers.put_back(number, transfer);
    }
    done
}

/// The guest of a transfer, if it can still be reached.
fn guest(simulator: &Simulator, transfer: &Transfer) -> Done<Shared> {
    // unverified: what a host answers once the machine is off.
    reach(&mut simulator.world(), &transfer.machine).map_err(|_| 503)
}

fn fetched(simulator: &Simulator, transfer: &Transfer) -> Done<Answer> {
    let shared = guest(simulator, transfer)?;
    let inside = guests::locked(&shared);
    let guest = inside.guest().ok_or(503_u16)?;
    let user = guest.user(&transfer.user).ok_or(403_u16)?;
    let bytes = guest.read_file(user, &transfer.path).map_err(|_| 404_u16)?;
    Ok(Answer::of(200, "application/octet-stream", bytes.to_vec()))
}

fn sent(
    simulator: &Simulator,
    request: &mut Request,
    transfer: &Transfer,
    size: u64,
) -> Done<Answer> {
    let told = request.header("content-length").and_then(|it| it.parse::<u64>().ok());
    if told.is_some_and(|it| it != size) {
        return Err(400);
    }
    let mut body = Vec::new();
    // The size was within the bound of a file when the URL was given.
    let read = (&mut request.body).take(size.saturating_add(1)).read_to_end(&mut body);
    if read.is_err() || u64::try_from(body.len()) != Ok(size) {
        return Err(400);
    }
    let shared = guest(simulator, transfer)?;
    let inside = guests::locked(&shared);
    let mut guest = inside.guest().ok_or(503_u16)?;
    let user = guest.user(&transfer.user).ok_or(403_u16)?;
    let attributes = transfer.new.as_ref().map(|it| &it.1).ok_or(405_u16)?;
    guest.write_file(user, &transfer.path, &body, attributes).map_err(|_| 500_u16)?;
    Ok(Answer::empty(200))
}
