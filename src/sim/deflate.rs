//! Deflate as the simulated host packs: gzip for answers, zlib for PNG and for disks.
//!
//! Matches are found by a hash of four bytes, and the codes are the fixed ones: a list of machines
//! shrinks to a fifteenth instead of a twenty-fifth, the settings of a host to a quarter either way,
//! with a kilobyte of code instead of thirty. It must not know what it packs. Surprising: bytes that do not shrink grow by a sixteenth, which every reader bears.

use crate::text::crc;

/// The farthest and the longest repetition, and the shortest that is worth it.
const FARTHEST: usize = 32_768;
const LONGEST: usize = 258;
const SHORTEST: usize = 4;
/// Places that are remembered, by hash.
const PLACES: usize = 1 << 13;

/// With header, CRC and length.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = Bits::new(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]).deflate(bytes);
    out.extend(crc::add(0, bytes).to_le_bytes());
    out.extend(u32::try_from(bytes.len()).unwrap_or(0).to_le_bytes());
    out
}

/// With header and Adler-32.
pub fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut out = Bits::new(&[0x78, 0x01]).deflate(bytes);
    let (mut low, mut high) = (1_u32, 0_u32);
    for byte in bytes {
        low = (low + u32::from(*byte)) % 65_521;
        high = (high + low) % 65_521;
    }
    out.extend((high << 16 | low).to_be_bytes());
    out
}

/// Bits on their way out, the lowest of a byte first.
struct Bits {
    out: Vec<u8>,
    held: u64,
    count: u32,
}

impl Bits {
    fn new(header: &[u8]) -> Bits {
        Bits { out: header.to_vec(), held: 0, count: 0 }
    }

    fn put(&mut self, value: u32, count: u32) {
        self.held |= u64::from(value) << self.count;
        self.count += count;
        while self.count >= 8 {
            self.out.push(self.held.to_le_bytes()[0]);
            (self.held, self.count) = (self.held >> 8, self.count - 8);
        }
    }

    /// A code goes out with its highest bit first.
    fn code(&mut self, code: u32, count: u32) {
        self.put(code.reverse_bits() >> (32 - count), count);
    }

    /// A byte, the end (256) or a length, by the fixed codes.
    fn symbol(&mut self, symbol: u32) {
        match symbol {
            0..=143 => self.code(0x30 + symbol, 8),
            144..=255 => self.code(0x190 + symbol - 144, 9),
            256..=279 => self.code(symbol - 256, 7),
            _ => self.code(0xc0 + symbol - 280, 8),
        }
    }

    fn repeat(&mut self, length: u32, distance: u32) {
        let over = length - 3;
        let extra = (over | 4).ilog2() - 2;
        if over == 255 {
            self.symbol(285);
        } else {
            self.symbol(257 + 4 * extra + (over >> extra));
            self.put(over & ((1 << extra) - 1), extra);
        }
        let over = distance - 1;
        let extra = (over | 2).ilog2() - 1;
        self.code(2 * extra + (over >> extra), 5);
        self.put(over & ((1 << extra) - 1), extra);
    }

    /// One block with everything in it.
    fn deflate(mut self, bytes: &[u8]) -> Vec<u8> {
        self.put(0b011, 3);
        let mut places = vec![usize::MAX; PLACES];
        let (mut at, mut covered) = (0, 0);
        while let Some(byte) = bytes.get(at) {
            if let Some(four) = bytes[at..].first_chunk::<4>() {
                let hash = u32::from_le_bytes(*four).wrapping_mul(0x9e37_79b1) >> 19;
                let hash = usize::try_from(hash).unwrap_or(0);
                let before = std::mem::replace(&mut places[hash], at);
                if at >= covered && before < at && at - before <= FARTHEST {
                    let pairs = bytes[at..].iter().zip(&bytes[before..]).take(LONGEST);
                    let same = pairs.take_while(|it| it.0 == it.1).count();
                    if same >= SHORTEST {
                        let number = |it: usize| u32::try_from(it).unwrap_or(0);
                        self.repeat(number(same), number(at - before));
                        covered = at + same;
                    }
                }
            }
            if at >= covered {
                self.symbol(u32::from(*byte));
            }
            at += 1;
        }
        self.symbol(256);
        self.put(0, 7);
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn others_unpack_it() {
        let mut noise = 1_u32;
        let mut noise = || {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            noise.to_be_bytes()[0]
        };
        let random: Vec<u8> = (0..70_000).map(|_| noise()).collect();
        let far = [&random[..40_000], &random[..33_000], &random[30_000..41_000]].concat();
        let mut texts: Vec<Vec<u8>> = vec![random, far, vec![0; 65_536], b"abc".to_vec(), vec![]];
        texts.extend((1..600).map(|it| [vec![7; it], vec![200; it], vec![7; it]].concat()));
        texts.extend((1..100).map(|it| b"0123456789abcdef<x>".repeat(it * it / 4)));
        for text in texts {
            let mut out = Vec::new();
            flate2::read::GzDecoder::new(&*gzip(&text)).read_to_end(&mut out).unwrap();
            assert!(out == text, "{}", text.len());
            out.clear();
            flate2::read::ZlibDecoder::new(&*zlib(&text)).read_to_end(&mut out).unwrap();
            assert!(out == text, "{}", text.len());
        }
    }

    #[test]
    fn answers_shrink() {
        let text = crate::sim::packed::file("host.xml").as_bytes();
        assert!(gzip(text).len() * 7 < text.len() * 2, "{} of {}", gzip(text).len(), text.len());
        assert!(zlib(&vec![0; 65_536]).len() < 500);
    }
}
