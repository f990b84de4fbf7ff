//! Disks as they travel: a streamOptimized VMDK made while it is read, and the first look at one
//! that is uploaded.
//!
//! It knows no machine and no datastore. What is in a disk comes from a seed, mostly nothing, so
//! that 20 GB are a few hundred KB and the same ones every time. Surprising: the header says that
//! the directory of tables is at the end, because whoever streams does not know yet where it will
//! be; a second header in the last sectors knows.

use std::io;
use std::io::Read;

use crate::sim::deflate;
use crate::text::order;

const SECTOR: usize = 512;
/// Sectors of one grain: 64 KB.
const GRAIN: u64 = 128;
/// Grains of one table.
const TABLE: u64 = 512;
/// Sectors before the first grain.
const OVERHEAD: u64 = 128;
/// Grains with something in them; their numbers are 32-bit sector numbers in what we write.
const FILLED: u64 = 24;
/// 62 TB, the largest disk of a host.
const LARGEST: u64 = 62 << 31;
/// "The directory is at the end, see the footer."
const AT_END: u64 = u64::MAX;
/// Valid line-end test, compressed grains, markers.
const FLAGS: u32 = 0x3_0001;
/// What a transfer as text would break.
const LINE_ENDS: &[u8] = b"\n \r\n";

/// A disk of so many sectors as a streamOptimized VMDK; the same bytes for the same seed.
pub fn stream_optimized(capacity_sectors: u64, seed: u64) -> Stream {
    // Readers refuse an empty disk, and a host has no larger ones.
    let capacity = capacity_sectors.clamp(1, LARGEST);
    let grains = capacity.div_ceil(GRAIN);
    let mut random = Random(seed);
    // The first grain holds the partition table of a real disk.
    let mut filled: Vec<u64> = (1..FILLED).map(|_| random.next() % grains).collect();
    filled.push(0);
    let mut filled = order::by(filled, &u64::cmp);
    filled.dedup();
    Stream {
        capacity,
        seed,
        filled,
        stage: Stage::Head,
        table: [0; TABLE as usize],
        directory: Vec::new(),
        sector: 0,
        out: Vec::new(),
        taken: 0,
    }
}

/// A streamOptimized VMDK that comes into being while it is read; it holds one grain at a time.
pub struct Stream {
    capacity: u64,
    seed: u64,
    /// The grains that are not empty, in order.
    filled: Vec<u64>,
    stage: Stage,
    /// The table at hand: where each of its grains begins.
    table: [u32; TABLE as usize],
    /// Number and sector of each table that was written.
    directory: Vec<(u64, u32)>,
    /// Sectors that were put out.
    sector: u64,
    out: Vec<u8>,
    taken: usize,
}

#[derive(Clone, Copy)]
enum Stage {
    Head,
    Grain(usize),
    /// The next sector of the directory.
    Directory(u64),
    Done,
}

impl Stream {
    fn tables(&self) -> u64 {
        self.capacity.div_ceil(GRAIN * TABLE)
    }

    fn header(&mut self, directory: u64) {
        let begin = self.out.len();
        self.out.extend_from_slice(b"KDMV");
        self.out.extend_from_slice(&3u32.to_le_bytes());
        self.out.extend_from_slice(&FLAGS.to_le_bytes());
        // Capacity, grain, descriptor at sector 1 of 20 sectors.
        for field in [self.capacity, GRAIN, 1, 20] {
            self.out.extend_from_slice(&field.to_le_bytes());
        }
        self.out.extend_from_slice(&(TABLE as u32).to_le_bytes());
        for field in [0, directory, OVERHEAD] {
            self.out.extend_from_slice(&field.to_le_bytes());
        }
        self.out.push(0); // shut down cleanly
        self.out.extend_from_slice(LINE_ENDS);
        self.out.extend_from_slice(&1u16.to_le_bytes()); // deflate
        self.out.resize(begin + SECTOR, 0);
    }

    /// The sector before tables and the footer, which says what comes.
    fn marker(&mut self, sectors: u64, kind: u32) {
        let begin = self.out.len();
        self.out.extend_from_slice(&sectors.to_le_bytes());
        self.out.extend_from_slice(&[0; 4]);
        self.out.extend_from_slice(&kind.to_le_bytes());
        self.out.resize(begin + SECTOR, 0);
    }

    fn grain(&mut self, at: usize, number: u64) -> io::Result<()> {
        let packed = content(self.seed, number);
        let slot = usize::try_from(number % TABLE).unwrap_or(0);
        self.table[slot] = u32::try_from(self.sector).unwrap_or(0);
        self.out.extend_from_slice(&(number * GRAIN).to_le_bytes());
        self.out.extend_from_slice(&u32::try_from(packed.len()).unwrap_or(0).to_le_bytes());
        self.out.extend_from_slice(&packed);
        self.out.resize(self.out.len().next_multiple_of(SECTOR), 0);
        // The table follows its last grain.
        if self.filled.get(at + 1).is_none_or(|next| next / TABLE != number / TABLE) {
            self.marker(4, 1);
            let here = self.sector + (self.out.len() / SECTOR) as u64;
            self.directory.push((number / TABLE, u32::try_from(here).unwrap_or(0)));
            self.table.iter().for_each(|it| self.out.extend_from_slice(&it.to_le_bytes()));
            self.table = [0; TABLE as usize];
        }
        Ok(())
    }

    fn footer(&mut self, directory: u64) {
        self.marker(1, 3);
        self.header(directory);
        self.marker(0, 0);
    }

    /// Makes the next piece.
    fn advance(&mut self) -> io::Result<()> {
        self.out.clear();
        self.taken = 0;
        // Entries of the directory in one sector, and its length.
        const ENTRIES: u64 = 128;
        let length = self.tables().div_ceil(ENTRIES);
        self.stage = match self.stage {
            Stage::Head => {
                self.header(AT_END);
                let text = descriptor(self.capacity, self.seed);
                self.out.extend_from_slice(text.as_bytes());
                self.out.resize(OVERHEAD as usize * SECTOR, 0);
                Stage::Grain(0)
            }
            Stage::Grain(at) => match self.filled.get(at) {
                Some(number) => {
                    self.grain(at, *number)?;
                    Stage::Grain(at + 1)
                }
                None => {
                    self.marker(length, 2);
                    Stage::Directory(0)
                }
            },
            Stage::Directory(at) if at < length => {
                for number in at * ENTRIES..(at + 1) * ENTRIES {
                    let known = self.directory.iter().find(|(it, _)| *it == number);
                    self.out.extend_from_slice(&known.map_or(0, |(_, it)| *it).to_le_bytes());
                }
                Stage::Directory(at + 1)
            }
            Stage::Directory(_) => {
                self.footer(self.sector - length);
                Stage::Done
            }
            Stage::Done => Stage::Done,
        };
        self.sector += (self.out.len() / SECTOR) as u64;
        Ok(())
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.out.len() {
            if matches!(self.stage, Stage::Done) {
                return Ok(0);
            }
            self.advance()?;
        }
        let rest = &self.out[self.taken..];
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        self.taken += count;
        Ok(count)
    }
}

fn descriptor(capacity: u64, seed: u64) -> String {
    let mut random = Random(seed);
    let id = random.next() as u32;
    // Geometry as for any disk of more than 8 GB; readers take the sectors.
    let cylinders = (capacity / (255 * 63)).min(65_535);
    format!(
        "# Disk DescriptorFile\nversion=1\nCID={id:08x}\nparentCID=ffffffff\n\
         createType=\"streamOptimized\"\n\n# Extent description\n\
         RDONLY {capacity} SPARSE \"disk.vmdk\"\n\n# The Disk Data Base\n#DDB\n\n\
         ddb.adapterType = \"lsilogic\"\nddb.geometry.cylinders = \"{cylinders}\"\n\
         ddb.geometry.heads = \"255\"\nddb.geometry.sectors = \"63\"\n\
         ddb.longContentID = \"{:016x}{:016x}\"\nddb.virtualHWVersion = \"13\"\n",
        random.next(),
        random.next(),
    )
}

/// A grain, packed: a quarter of it does not shrink.
fn content(seed: u64, number: u64) -> Vec<u8> {
    let mut random = Random(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut bytes = vec![0; GRAIN as usize * SECTOR];
    let quarter = bytes.len() / 4;
    for piece in bytes[..quarter].chunks_exact_mut(8) {
        piece.copy_from_slice(&random.next().to_le_bytes());
    }
    deflate::zlib(&bytes)
}

/// SplitMix64: small, and good enough to look like data.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut it = self.0;
        it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        it ^ (it >> 31)
    }
}

/// The capacity in bytes of the disk whose first sector this is; else why a host refuses it.
pub fn looks(header: &[u8]) -> Result<u64, String> {
    let word = |at: usize| header.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    let long = |at: usize| header.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
    let known = (word(4), word(8), long(12), header.get(73..79));
    let (Some(version), Some(flags), Some(capacity), Some(tail)) = known else {
        return Err("it ends within its header".to_owned());
    };
    if !header.starts_with(b"KDMV") {
        return Err("it is no sparse VMDK".to_owned());
    }
    if !(1..=3).contains(&version) {
        return Err(format!("version {version} of the format is not known"));
    }
    if &tail[..4] != LINE_ENDS {
        return Err("its line ends were changed, as by a transfer as text".to_owned());
    }
    // Compressed, with markers, by deflate.
    if flags & 0x3_0000 != 0x3_0000 || tail[4..] != [1, 0] {
        return Err("it is not streamOptimized".to_owned());
    }
    match capacity {
        1..=LARGEST => Ok(capacity * SECTOR as u64),
        _ => Err(format!("a capacity of {capacity} sectors cannot be")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const GB: u64 = 1 << 21;

    fn whole(capacity: u64, seed: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        stream_optimized(capacity, seed).read_to_end(&mut bytes).unwrap();
        bytes
    }

    /// What the tool says, or nothing where it is not installed.
    fn qemu(arguments: &[&str]) -> Option<String> {
        let out = Command::new("qemu-img").args(arguments).output().ok()?;
        let said = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(out.status.success(), "{said}{}", String::from_utf8_lossy(&out.stderr));
        Some(said)
    }

    #[test]
    fn a_disk_is_read_by_another_tool() {
        let folder = std::env::temp_dir().join(format!("jumpvisor-vmdk-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for (name, capacity) in [("small", 200), ("odd", 3 * GB + 77), ("large", 20 * GB)] {
            let bytes = whole(capacity, 42);
            assert!(bytes.len() < 700_000, "{name}: {}", bytes.len());
            let (disk, raw) = (folder.join(format!("{name}.vmdk")), folder.join(name));
            std::fs::write(&disk, &bytes).unwrap();
            let (path, raw_path) = (disk.to_str().unwrap(), raw.to_str().unwrap());
            let Some(info) = qemu(&["info", path]) else { continue };
            assert!(info.contains("file format: vmdk"), "{info}");
            assert!(info.contains("streamOptimized"), "{info}");
            assert!(info.contains(&format!("({} bytes)", capacity * 512)), "{info}");
            let checked = qemu(&["check", path]);
            assert_eq!(checked.unwrap(), "No errors were found on the image.\n", "{name}");
            qemu(&["convert", "-O", "raw", path, raw_path]);
            qemu(&["compare", "-f", "vmdk", "-F", "raw", path, raw_path]);
            let mut start = [0; 16];
            std::fs::File::open(&raw).unwrap().read_exact(&mut start).unwrap();
            assert_ne!(start, [0; 16], "{name}: nothing arrived");
            assert_eq!(std::fs::metadata(&raw).unwrap().len(), capacity * 512);
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn the_same_seed_gives_the_same_disk_in_pieces_of_any_size() {
        let all = whole(20 * GB, 7);
        assert_ne!(all, whole(20 * GB, 8));
        let (mut stream, mut pieces, mut buffer) = (stream_optimized(20 * GB, 7), vec![], [0; 777]);
        loop {
            let count = stream.read(&mut buffer).unwrap();
            if count == 0 {
                break;
            }
            pieces.extend_from_slice(&buffer[..count]);
        }
        assert!(pieces == all);
        assert_eq!(stream.read(&mut buffer).unwrap(), 0);
        assert!(stream.out.capacity() < 200_000, "{}", stream.out.capacity());
    }

    #[test]
    fn what_is_uploaded_is_looked_at() {
        let good = whole(GB, 1);
        assert_eq!(looks(&good[..512]), Ok(1 << 30));
        let because = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = good[..512].to_vec();
            change(&mut bytes);
            looks(&bytes).unwrap_err()
        };
        assert_eq!(because(&|it| it.truncate(70)), "it ends within its header");
        assert_eq!(because(&|it| it[0] = b'C'), "it is no sparse VMDK");
        assert_eq!(because(&|it| it[4] = 9), "version 9 of the format is not known");
        assert_eq!(because(&|it| it[10] = 0), "it is not streamOptimized");
        assert!(because(&|it| it[75] = b'\n').contains("line ends"));
        assert!(because(&|it| it[12..20].fill(0xff)).contains("sectors cannot be"));
        assert!(because(&|it| it[12..20].fill(0)).contains("0 sectors"));
        assert!(looks(b"").is_err());
    }

    #[test]
    fn sizes_at_the_edges_end() {
        assert!(whole(0, 1).len() < 200_000);
        let mut count = [0u8; 4096];
        let (mut stream, mut total) = (stream_optimized(u64::MAX, 1), 0);
        while let Ok(read @ 1..) = stream.read(&mut count) {
            total += read;
        }
        assert!(total < 12_000_000, "{total}");
    }
}
