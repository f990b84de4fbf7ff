//! The letters of a guest's screen, drawn with a pen.
//!
//! Each glyph is strokes of points: `0949` goes from column 0 to column 4 on row 9, which is where
//! letters stand; rows count in hexadecimal down from the top of capitals. Surprising: the pen is
//! two dots wide, so that letters keep when a picture is made smaller; behind a comma it is one.

/// Dots across.
pub const WIDTH: usize = 8;
/// Dots down.
pub const HEIGHT: usize = 16;

/// From `!` to `~`.
const STROKES: &[&str] = &[
    "2026 2829",
    "1012 4042",
    "1019 4049 0353 0656",
    "423111020314344547381807 2021 2829",
    "0002 1012 4109 3739 4749",
    "490301102031320508192946",
    "2022",
    "30121739",
    "10323719",
    "0246 4206 0444",
    "2327 0545",
    "282a1b",
    "0545",
    "2829",
    "4009",
    "104051584919080110 ,4126",
    "022029 0949",
    "0110304143080949",
    "01103041433424 344548391908",
    "39300656",
    "400004344548391908",
    "4130100108193948453404",
    "0040422629",
    "103041433414030110 1405081939484534",
    "0819394841301001041545",
    "2425 2829",
    "2425 282a1b",
    "410549",
    "0444 0747",
    "014509",
    "01103041432526 2829",
    "49190801104051 ,57373454 5156",
    "0904204449 0646",
    "09003041433404 3445483909",
    "4130100108193948",
    "09003041483909",
    "40000949 0434",
    "400009 0434",
    "41301001081939484525",
    "0009 4049 0444",
    "1030 2029 1939",
    "404839190807",
    "0009 4005 1449",
    "000949",
    "0009 5059 ,113351 ,123452",
    "0009 4049 0145",
    "104051584919080110",
    "09003041443505",
    "104051584919080110 275a",
    "09003041443505 2549",
    "413010010314344548391908",
    "0040 2029",
    "000819394840",
    "0005294540",
    "0009 5059 ,183658 ,173557",
    "0049 4009",
    "0002244240 2429",
    "00400949",
    "30101939",
    "0049",
    "10303919",
    "022042",
    "0b5b",
    "1021",
    "13334449 46160708193948",
    "0009 0413334448391908",
    "4433130408193948",
    "4049 4433130408193948",
    "06464433130408193948",
    "41302129 0343",
    "4433130408193948 434b3c1c0b",
    "0009 0413334449",
    "2020 132329 1939",
    "3030 23333b2c0c",
    "0009 4306 1649",
    "102029 1939",
    "0309 ,1323 ,3439 ,4353 5459",
    "0309 0413334449",
    "133344483919080413",
    "030c 0413334448391908",
    "434c 4433130408193948",
    "0309 05133344",
    "443313040516364748391908",
    "1118293948 0343",
    "0308193948 4349",
    "0305294543",
    "0308 ,1929 ,3438 ,4959 5358",
    "0349 4309",
    "0308193948 434b3c1c0b",
    "03430949",
    "403021240526283949",
    "202b",
    "001021244526281909",
    "0514243544",
];

/// The dots of a character, row by row, the leftmost in the highest bit; blank for what has none.
pub fn dots(character: u8) -> [u8; HEIGHT] {
    let mut rows = [0; HEIGHT];
    let strokes = usize::from(character).checked_sub(0x21).and_then(|it| STROKES.get(it));
    for stroke in strokes.copied().unwrap_or_default().split(' ') {
        let (pen, points) = match stroke.strip_prefix(',') {
            Some(points) => (0x40, points),
            None => (0x60, stroke),
        };
        let digits = points.bytes().filter_map(|it| char::from(it).to_digit(16));
        let digits: Vec<i32> = digits.map(u32::cast_signed).collect();
        let (points, _) = digits.as_chunks::<2>();
        for (from, to) in points.iter().zip(points.iter().skip(1).chain(points.last())) {
            line(&mut rows, pen, *from, *to);
        }
    }
    rows
}

/// Along the longer side one dot a step, the other side rounded.
fn line(rows: &mut [u8; HEIGHT], pen: u8, from: [i32; 2], to: [i32; 2]) {
    let (across, down) = (to[0] - from[0], to[1] - from[1]);
    let steps = across.abs().max(down.abs()).max(1);
    for step in 0..=steps {
        let at = |start: i32, way: i32| start + (2 * way * step + steps).div_euclid(2 * steps);
        let (column, row) = (at(from[0], across), at(from[1], down) + 2);
        let row = usize::try_from(row).ok().and_then(|it| rows.get_mut(it));
        if let (Some(row), Ok(column)) = (row, u32::try_from(column)) {
            *row |= pen >> column;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_is_drawn_once() {
        assert_eq!(STROKES.len(), 94);
        let all: Vec<_> = (0x21..0x7f).map(dots).collect();
        for (at, glyph) in all.iter().enumerate() {
            assert!(glyph.iter().any(|it| *it != 0), "{at}");
            assert!(glyph.iter().all(|it| it & 0x80 == 0), "a gap at the left: {at}");
            assert!(!all[..at].contains(glyph), "{} looks like another", at + 0x21);
        }
        assert_eq!(dots(b' '), [0; HEIGHT]);
        assert_eq!(dots(200), [0; HEIGHT]);
    }
}
