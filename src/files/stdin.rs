//! Standard input, once.
//!
//! Surprising: it is looked at before it is read, because a thread that reads a pipe on which nothing
//! comes could not be stopped; and a file that was led here (`< disk.ova`) is a file like any other,
//! which can be read from any place.

use std::fs::File;
use std::io;
use std::io::{IsTerminal, Read, Seek};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::files::source::Source;
use crate::files::stop::{GLANCE, Stop};
use crate::web::exchange::into_io;

/// What messages call it.
const SHOWN: &str = "standard input";

/// Opens it.
pub(crate) fn open(stop: &Stop) -> Result<Source<'static>> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        return Err(Error::usage("`-` is standard input, and that is a terminal")
            .hint("Lead a file or a pipe there: `< disk.ova`, or `curl ... |`"));
    }
    let unable = |error: io::Error| Error::usage(format!("{SHOWN} cannot be read: {error}"));
    let mut file = File::from(stdin.as_fd().try_clone_to_owned().map_err(unable)?);
    let about = file.metadata().map_err(unable)?;
    // From its middle it would be another file.
    if about.is_file() && file.stream_position().is_ok_and(|at| at == 0) {
        return Ok(Source::file(SHOWN, file, about.len()).stopped_by(stop.clone()));
    }
    let pipe = Pipe { file, stop: stop.clone() };
    Ok(Source::pipe(SHOWN, pipe).stopped_by(stop.clone()))
}

struct Pipe {
    file: File,
    stop: Stop,
}

impl Read for Pipe {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let wait = Timespec { tv_sec: 0, tv_nsec: GLANCE.subsec_nanos().into() };
        loop {
            self.stop.check().map_err(into_io)?;
            let mut wanted = [PollFd::new(&self.file, PollFlags::IN)];
            match rustix::event::poll(&mut wanted, Some(&wait)) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return self.file.read(into),
                Err(error) => return Err(error.into()),
            }
        }
    }

    crate::text::reading::shared!();
}
