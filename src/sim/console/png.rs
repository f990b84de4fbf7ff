//! The guest's screen as a PNG, as a host's `/screen` gives it.
//!
//! Grey in sixteen steps, so that a smaller picture stays legible. Surprising: the part is cut out
//! before it is scaled (unverified: that a host does it in this order).

use crate::sim::console::glyphs;
use crate::sim::console::screen::COLUMNS;
use crate::sim::console::screen::ROWS;
use crate::sim::console::screen::Screen;
use crate::sim::deflate;
use crate::text::crc;

/// The whole picture.
pub const WIDTH: usize = COLUMNS * glyphs::WIDTH;
/// The whole picture.
pub const HEIGHT: usize = ROWS * glyphs::HEIGHT;

/// The largest side that is made. unverified: a host's own bound.
const LARGEST: usize = 2048;
/// The grey of text, of 15.
const INK: usize = 12;

/// Which part, and how large.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs)]
pub struct View {
    pub top: Option<usize>,
    pub left: Option<usize>,
    /// The first row that is not in it.
    pub bottom: Option<usize>,
    /// The first column that is not in it.
    pub right: Option<usize>,
    pub width: Option<usize>,
    pub height: Option<usize>,
}

impl View {
    /// From a query such as `id=12&width=320`; what cannot be read is named.
    pub fn read(query: &str) -> Result<View, String> {
        let mut view = View::default();
        for (name, value) in query.split('&').filter_map(|it| it.split_once('=')) {
            let field = match name {
                "top" => &mut view.top,
                "left" => &mut view.left,
                "bottom" => &mut view.bottom,
                "right" => &mut view.right,
                "width" => &mut view.width,
                "height" => &mut view.height,
                _ => continue,
            };
            *field = Some(value.parse().map_err(|_| format!("{name} is not a number"))?);
        }
        Ok(view)
    }
}

/// The picture; a sentence where the part is empty or the size is none.
pub fn render(screen: &Screen, view: &View) -> Result<Vec<u8>, String> {
    let (top, left) = (view.top.unwrap_or(0), view.left.unwrap_or(0));
    let bottom = view.bottom.unwrap_or(HEIGHT).min(HEIGHT);
    let right = view.right.unwrap_or(WIDTH).min(WIDTH);
    if top >= bottom || left >= right {
        return Err("The part of the screen is empty".to_owned());
    }
    let (across, down) = (right - left, bottom - top);
    let other = |asked: usize, side: usize, asked_side: usize| {
        (asked.min(LARGEST) * side / asked_side).max(1)
    };
    let (width, height) = match (view.width, view.height) {
        (None, None) => (across, down),
        (Some(width), None) => (width, other(width, down, across)),
        (None, Some(height)) => (other(height, across, down), height),
        (Some(width), Some(height)) => (width, height),
    };
    if width == 0 || height == 0 || width.max(height) > LARGEST {
        return Err(format!("A side of the picture is 1 to {LARGEST}"));
    }
    let dots = draw(screen);
    let columns: Vec<_> = (0..width).map(|it| shares(it, width, across, left)).collect();
    let mut rows = Vec::with_capacity((width / 2 + 2) * height);
    for y in 0..height {
        // No filter.
        rows.push(0);
        let lines = shares(y, height, down, top);
        let mut half = None;
        for columns in &columns {
            let mut sum = 0;
            for (line, weight) in &lines {
                let dots = &dots[line * WIDTH..];
                let ink: usize = columns.iter().map(|it| usize::from(dots[it.0]) * it.1).sum();
                sum += ink * weight;
            }
            let grey = u8::try_from((sum * INK).div_ceil(across * down)).unwrap_or(0);
            match half.take() {
                None => half = Some(grey << 4),
                Some(high) => rows.push(high | grey),
            }
        }
        rows.extend(half);
    }
    Ok(file(width, height, &rows))
}

/// The original dots that a dot of the picture covers, and how much of each; all together `original`.
fn shares(at: usize, picture: usize, original: usize, start: usize) -> Vec<(usize, usize)> {
    let (from, to) = (at * original, (at + 1) * original);
    let share = |dot: usize| ((dot + 1) * picture).min(to) - (dot * picture).max(from);
    (from / picture..to.div_ceil(picture)).map(|dot| (start + dot, share(dot))).collect()
}

/// One byte a dot, 0 or 1.
fn draw(screen: &Screen) -> Vec<u8> {
    let mut dots = vec![0; WIDTH * HEIGHT];
    for row in 0..ROWS {
        for column in 0..COLUMNS {
            let mut glyph = glyphs::dots(screen.at(row, column));
            if screen.cursor() == (row, column) {
                glyph.iter_mut().for_each(|it| *it = !*it);
            }
            for (line, bits) in glyph.iter().enumerate() {
                let at = (row * glyphs::HEIGHT + line) * WIDTH + column * glyphs::WIDTH;
                for (bit, dot) in dots[at..at + glyphs::WIDTH].iter_mut().enumerate() {
                    *dot = bits >> (7 - bit) & 1;
                }
            }
        }
    }
    dots
}

fn file(width: usize, height: usize, rows: &[u8]) -> Vec<u8> {
    let packed = deflate::zlib(rows);
    let mut header = Vec::new();
    for side in [width, height] {
        header.extend(u32::try_from(side).unwrap_or(0).to_be_bytes());
    }
    // Four bits, grey, and nothing unusual.
    header.extend([4, 0, 0, 0, 0]);
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, data) in [(b"IHDR", header), (b"IDAT", packed), (b"IEND", Vec::new())] {
        out.extend(u32::try_from(data.len()).unwrap_or(0).to_be_bytes());
        let from = out.len();
        out.extend(kind);
        out.extend(data);
        out.extend(crc::add(0, &out[from..]).to_be_bytes());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    /// Width, height, and the grey of each dot; checks every length and sum on the way.
    fn decode(png: &[u8]) -> (usize, usize, Vec<u8>) {
        let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
        assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
        let (mut at, mut kinds, mut packed) = (8, Vec::new(), Vec::new());
        while at < png.len() {
            let end = at + 8 + usize::try_from(number(at)).unwrap();
            assert_eq!(number(end), crc::add(0, &png[at + 4..end]));
            kinds.push(std::str::from_utf8(&png[at + 4..at + 8]).unwrap());
            if &png[at + 4..at + 8] == b"IDAT" {
                packed.extend(&png[at + 8..end]);
            }
            at = end + 4;
        }
        assert_eq!((kinds, &png[24..29]), (vec!["IHDR", "IDAT", "IEND"], &[4, 0, 0, 0, 0][..]));
        let [width, height] = [number(16), number(20)].map(|it| usize::try_from(it).unwrap());
        let mut rows = Vec::new();
        flate2::read::ZlibDecoder::new(&packed[..]).read_to_end(&mut rows).unwrap();
        let stride = width.div_ceil(2) + 1;
        assert_eq!(rows.len(), stride * height);
        let mut dots = Vec::new();
        for row in rows.chunks(stride) {
            assert_eq!(row[0], 0);
            dots.extend((0..width).map(|x| row[1 + x / 2] >> (4 - x % 2 * 4) & 15));
        }
        (width, height, dots)
    }

    fn view(query: &str) -> View {
        View::read(query).unwrap()
    }

    #[test]
    fn dots_are_where_the_text_is() {
        let mut screen = Screen::new();
        screen.feed(b"\x1b[2;3HL");
        let (width, height, dots) = decode(&render(&screen, &View::default()).unwrap());
        assert_eq!((width, height), (640, 400));
        let at = |x: usize, y: usize| dots[y * 640 + x];
        // The L stands in columns 17 and 18, down to row 11 of its cell; the cursor is a block.
        assert_eq!(
            (at(17, 18), at(18, 27), at(20, 27), at(20, 18), at(16, 20)),
            (12, 12, 12, 0, 0)
        );
        assert_eq!((at(24, 16), at(31, 31), at(32, 16)), (12, 12, 0));
        assert_eq!(dots.iter().filter(|it| **it != 0).count(), 9 * 2 + 6 + 128);
    }

    #[test]
    fn parts_and_sizes() {
        let mut screen = Screen::new();
        screen.feed(b"hello");
        let size = |query: &str| {
            render(&screen, &view(query)).map(|it| decode(&it)).map(|it| (it.0, it.1))
        };
        assert_eq!(size("id=12&width=320"), Ok((320, 200)));
        assert_eq!(size("height=800"), Ok((1280, 800)));
        assert_eq!(size("width=100&height=7"), Ok((100, 7)));
        assert_eq!(size("top=0&left=8&bottom=16&right=25"), Ok((17, 16)));
        assert_eq!(size("bottom=99999&right=99999"), Ok((640, 400)));
        assert!(size("top=20&bottom=20").is_err());
        assert!(size("width=0").is_err() && size("width=99999").is_err());
        assert!(size("width=18446744073709551615").is_err());
        assert!(View::read("width=much").is_err());
        let (_, _, part) = decode(&render(&screen, &view("right=8&bottom=16")).unwrap());
        let (_, _, whole) = decode(&render(&screen, &View::default()).unwrap());
        assert!(part.iter().eq(whole.chunks(640).take(16).flat_map(|row| &row[..8])));
    }

    #[test]
    fn smaller_keeps_the_ink() {
        let mut screen = Screen::new();
        screen.feed(&b"M".repeat(800));
        let mean = |query: &str| {
            let (_, _, dots) = decode(&render(&screen, &view(query)).unwrap());
            dots.iter().map(|it| f64::from(*it)).sum::<f64>()
                / f64::from(u32::try_from(dots.len()).unwrap())
        };
        assert!((mean("") - mean("width=320")).abs() < 0.5);
    }
}
