//! Many consoles at once: nothing is lost, nothing gets into another's transcript.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jumpvisor::serial::hub::{Hub, Way};

use crate::rig::{PATIENCE, about, accept, listener, settings, way};

const CONSOLES: usize = 20;
/// Of 16 bytes each.
const LINES: usize = 20_000;

#[test]
fn twenty_consoles_lose_nothing() {
    let hub = Hub::new(settings(64 << 10));
    let mut threads = Vec::new();
    for number in 0..CONSOLES {
        let (listener, address) = listener();
        let machine = format!("{number}");
        let console = hub.open(&about(&machine), way(address, false)).unwrap();
        threads.push(std::thread::spawn(move || {
            let mut stream = accept(&listener);
            let (from, seen) = (console.clone(), Arc::new(AtomicUsize::new(0)));
            let so_far = seen.clone();
            let reader = std::thread::spawn(move || {
                let (mut at, mut all) = (0, Vec::new());
                while all.len() < LINES * 16 {
                    let read = from.read(Some(at), 4096, PATIENCE, &|| false);
                    assert_eq!((read.dropped, read.from), (0, at));
                    assert!(!read.bytes.is_empty(), "it stopped at {at}");
                    at = read.next;
                    all.extend(read.bytes);
                    so_far.store(all.len(), Ordering::SeqCst);
                }
                all
            });
            let mut sent: Vec<u8> = Vec::new();
            for line in 0..LINES {
                let text = format!("{number:03} {line:010}\r\n");
                sent.extend(text.as_bytes());
                // No further ahead of who reads than the ring is long, however busy the machine is.
                let ahead = || sent.len() > seen.load(Ordering::SeqCst) + (32 << 10);
                while ahead() && !reader.is_finished() {
                    std::thread::sleep(Duration::from_millis(1));
                }
                stream.write_all(text.as_bytes()).unwrap();
                if line % 512 == 511 {
                    std::thread::sleep(Duration::from_millis(2));
                }
            }
            (sent, reader.join().unwrap())
        }));
    }
    for thread in threads {
        let (sent, read) = thread.join().unwrap();
        assert!(sent == read);
    }
    assert_eq!(hub.all().iter().map(|it| it.bytes_in).sum::<u64>(), 20 * 20_000 * 16);
}

#[test]
fn consoles_are_bounded_in_number() {
    let hub = Hub::new(settings(1000));
    for number in 0..512 {
        hub.open(&about(&number.to_string()), Way::Dialled).unwrap();
    }
    let error = hub.open(&about("512"), Way::Dialled).err().unwrap();
    assert!(error.to_string().contains("512 consoles are open"), "{error}");
    hub.open(&about("511"), Way::Dialled).unwrap();
}
