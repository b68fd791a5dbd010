//! `moov` as it comes, piece by piece: boxes are kept, the rows of sample tables go into columns, and of large boxes that
//! nobody reads the beginning is kept. So an index of hundreds of megabytes is read in a fraction of that.
//!
//! What is kept is a `moov` again, whose boxes have the sizes that were kept. Where it contradicts itself nothing is mended:
//! the box is kept as far as it shows the fault, and is met again by who reads it.

use super::boxes::{BoxHeader, HeaderRead};
use super::columns::{Column, Row};

/// The largest box, but for sample tables, that is kept whole: descriptions, names, edit lists.
const LARGEST_KEPT: u64 = 1 << 20;

/// What is kept of a larger one: user data for the most part, which nobody reads. Who needs more of it misses it.
const LARGE_KEPT: u64 = 64 << 10;

/// A `moov` without the rows of its tables.
#[derive(Clone, Debug, Default)]
pub(super) struct Sieved {
    bytes: Vec<u8>,
    /// Where bytes were left out, and how many up to there, ascending.
    cuts: Vec<(u64, u64)>,
    /// By where in `bytes` the table's body begins, ascending.
    tables: Vec<(u64, Table)>,
}

/// The rows of one table.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// The rows that were counted, as far as they are there.
    pub column: Column,
    /// Rows that there is room for in the box.
    pub room: u64,
}

impl Sieved {
    /// What was kept, from the header of `moov` on.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many bytes of the file were left out before the byte `kept` of what was kept.
    pub fn left_out(&self, kept: u64) -> u64 {
        let after = self.cuts.partition_point(|&(at, _)| at <= kept);
        after.checked_sub(1).map_or(0, |last| self.cuts[last].1)
    }

    /// The table whose body begins at byte `kept`.
    pub fn table(&self, kept: u64) -> Option<&Table> {
        let found = self.tables.binary_search_by_key(&kept, |(at, _)| *at).ok()?;
        Some(&self.tables[found].1)
    }

    fn cut(&mut self, bytes: u64) {
        let (at, before) = (self.bytes.len() as u64, self.cuts.last().map_or(0, |cut| cut.1));
        match self.cuts.last_mut() {
            Some(last) if last.0 == at => last.1 += bytes,
            _ => self.cuts.push((at, before + bytes)),
        }
    }
}

/// Takes a `moov` in pieces.
#[derive(Debug)]
pub(super) struct Sieve {
    sieved: Sieved,
    /// Bytes taken.
    at: u64,
    /// Containers that are open, the innermost last; `moov` itself is the first.
    open: Vec<Open>,
    /// Bytes that are not enough yet for what they begin.
    pending: Vec<u8>,
    state: State,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    /// Where it ends, counted from the beginning of `moov`.
    end: u64,
    /// Where its header is in what was kept.
    kept: usize,
}

#[derive(Debug)]
enum State {
    /// A header comes next, or the end of what is open.
    Header,
    /// So many bytes are kept.
    Keep(u64),
    /// So many bytes are kept of the box whose header was kept there, and so many behind them are dropped.
    Begin(usize, u64, u64),
    /// So many bytes are dropped.
    Drop(u64),
    /// The fixed fields of a table.
    Fields(Fields),
    /// The rows of a table that are counted.
    Rows(Rows),
}

/// A table whose header was kept.
#[derive(Clone, Copy, Debug)]
struct Fields {
    form: Form,
    /// Where its header was kept.
    kept: usize,
    /// Bytes of its body.
    body: u64,
}

/// A table whose fields were kept.
#[derive(Debug)]
struct Rows {
    table: Table,
    /// Where its body was kept.
    kept: u64,
    /// Bytes of rows still to come.
    left: u64,
    /// Bytes behind them that count for nothing.
    behind: u64,
}

/// How a sample table is laid out.
#[derive(Clone, Copy, Debug)]
struct Form {
    /// Bytes before the first row; the last four count the entries.
    fields: u64,
    row: Row,
}

impl Form {
    fn of(kind: [u8; 4]) -> Option<Self> {
        let (fields, row) = match &kind {
            b"stsz" => (12, Row::Words(1)),
            b"stz2" => (12, Row::Byte),
            b"stco" | b"stss" => (8, Row::Words(1)),
            b"stts" | b"ctts" => (8, Row::Words(2)),
            b"stsc" => (8, Row::Words(3)),
            b"co64" => (8, Row::Long),
            _ => return None,
        };
        Some(Self { fields, row })
    }

    /// Rows that a table with such `fields` counts; none where all entries have one size.
    fn rows(self, fields: &[u8]) -> u64 {
        let word = |at: usize| {
            fields.get(at..at + 4).and_then(|word| word.first_chunk()).map_or(0, |w| u32::from_be_bytes(*w))
        };
        let counted = u64::from(word(fields.len().saturating_sub(4)));
        match self.row {
            // `stsz`: a size that is not zero is that of all.
            Row::Words(1) if self.fields == 12 && word(4) != 0 => 0,
            // `stz2`: sizes of so many bits.
            Row::Byte => (counted * u64::from(word(4) & 0xff)).div_ceil(8),
            _ => counted,
        }
    }
}

/// The boxes on the way to sample tables.
const WAY: [[u8; 4]; 5] = [*b"moov", *b"trak", *b"mdia", *b"minf", *b"stbl"];

impl Sieve {
    /// For a `moov` of `size` bytes, the first `header` of which are its header.
    pub fn new(size: u64, header: u64) -> Self {
        let open = vec![Open { end: size, kept: 0 }];
        Self { sieved: Sieved::default(), at: 0, open, pending: Vec::new(), state: State::Keep(header) }
    }

    /// Bytes taken so far.
    pub fn taken(&self) -> u64 {
        self.at
    }

    /// Bytes of what was kept beside tables.
    pub fn kept(&self) -> u64 {
        self.sieved.bytes.len() as u64
    }

    /// Takes the next bytes.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let used = match std::mem::replace(&mut self.state, State::Header) {
                State::Header => self.header(bytes),
                State::Keep(left) => {
                    let taken = at_most(left, bytes);
                    self.sieved.bytes.extend_from_slice(taken);
                    self.go_on(left, taken.len(), State::Keep)
                }
                State::Begin(kept, left, behind) => {
                    let taken = at_most(left, bytes);
                    self.sieved.bytes.extend_from_slice(taken);
                    self.state = self.begun(kept, left - taken.len() as u64, behind);
                    taken.len()
                }
                State::Drop(left) => {
                    let taken = at_most(left, bytes).len();
                    self.sieved.cut(taken as u64);
                    self.go_on(left, taken, State::Drop)
                }
                State::Fields(fields) => self.fields(fields, bytes),
                State::Rows(rows) => self.rows(rows, bytes),
            };
            self.at += used as u64;
            bytes = &bytes[used..];
            self.close();
        }
    }

    /// What was kept, once all bytes were taken.
    pub fn finish(mut self) -> Sieved {
        self.sieved.bytes.shrink_to_fit();
        self.sieved
    }

    fn go_on(&mut self, left: u64, taken: usize, state: fn(u64) -> State) -> usize {
        let left = left - taken as u64;
        if left > 0 {
            self.state = state(left);
        }
        taken
    }

    /// Closes the containers that end here: their sizes are those of what was kept of them.
    fn close(&mut self) {
        if !matches!(self.state, State::Header) || !self.pending.is_empty() {
            return;
        }
        while let Some(open) = self.open.pop_if(|open| open.end <= self.at) {
            self.resize(open.kept);
        }
    }

    /// Lets the box whose header was kept at `kept` end here. One that reaches to the end of its parent does so still.
    fn resize(&mut self, kept: usize) {
        let size = (self.sieved.bytes.len() - kept) as u64;
        let header = &mut self.sieved.bytes[kept..];
        match (header.first_chunk(), u32::try_from(size)) {
            (Some([0, 0, 0, 0]), _) => {}
            (Some([0, 0, 0, 1]), _) => {
                if let Some(large) = header.get_mut(8..16) {
                    large.copy_from_slice(&size.to_be_bytes());
                }
            }
            (Some(_), Ok(size)) => header[..4].copy_from_slice(&size.to_be_bytes()),
            _ => {}
        }
    }

    /// Gathers `wanted` bytes; how many of `bytes` were used, and whether that is all.
    fn gather(&mut self, wanted: u64, bytes: &[u8]) -> (usize, bool) {
        let taken = at_most(wanted - self.pending.len() as u64, bytes);
        self.pending.extend_from_slice(taken);
        (taken.len(), self.pending.len() as u64 == wanted)
    }

    /// Gathers a header and decides what becomes of its box. Gives how many of `bytes` were used.
    fn header(&mut self, bytes: &[u8]) -> usize {
        // Behind the box's own end there is nothing that was asked for.
        let Some(&parent) = self.open.last() else { return bytes.len() };
        let begun = self.at - self.pending.len() as u64;
        let room = parent.end - begun;
        let is_large = self.pending.get(..4) == Some(&[0, 0, 0, 1]);
        let (used, all) = self.gather(room.min(if is_large { 16 } else { 8 }), bytes);
        let starts_large = !is_large && self.pending.get(..4) == Some(&[0, 0, 0, 1]) && room > 8;
        if !all || starts_large {
            return used;
        }
        let gathered = std::mem::take(&mut self.pending);
        let kept = self.sieved.bytes.len();
        self.sieved.bytes.extend_from_slice(&gathered);
        match BoxHeader::read(&gathered) {
            HeaderRead::Whole(header) if header.size.is_none_or(|size| size <= room) => {
                self.state = self.decide(header, kept, begun, room);
            }
            // Less than a box, or a wrong one: as much as shows that, and nothing behind it.
            _ => self.state = drop_or_go_on(room - gathered.len() as u64),
        }
        used
    }

    /// What becomes of the box that began at `begun`, whose header was kept at `kept`.
    fn decide(&mut self, header: BoxHeader, kept: usize, begun: u64, room: u64) -> State {
        let size = header.size.unwrap_or(room);
        let body = size - header.header;
        let depth = self.open.len();
        if WAY.get(depth) == Some(&header.kind.0) {
            self.open.push(Open { end: begun + size, kept });
            return State::Header;
        }
        let form = Form::of(header.kind.0).filter(|form| depth == WAY.len() && body >= form.fields);
        match form {
            Some(form) => State::Fields(Fields { form, kept, body }),
            None if body > LARGEST_KEPT => State::Begin(kept, LARGE_KEPT, body - LARGE_KEPT),
            None if body > 0 => State::Keep(body),
            None => State::Header,
        }
    }

    /// What follows for a box of which only the beginning is kept.
    fn begun(&mut self, kept: usize, left: u64, behind: u64) -> State {
        if left > 0 {
            return State::Begin(kept, left, behind);
        }
        self.resize(kept);
        State::Drop(behind)
    }

    /// Gathers the fields of a table. Gives how many of `bytes` were used.
    fn fields(&mut self, table: Fields, bytes: &[u8]) -> usize {
        let Fields { form, kept, body } = table;
        let (used, all) = self.gather(form.fields, bytes);
        if !all {
            self.state = State::Fields(table);
            return used;
        }
        let fields = std::mem::take(&mut self.pending);
        let (at, each) = (self.sieved.bytes.len() as u64, form.row.bytes() as u64);
        self.sieved.bytes.extend_from_slice(&fields);
        self.resize(kept);
        let room = (body - form.fields) / each;
        let left = form.rows(&fields).min(room) * each;
        let table = Table { column: Column::new(form.row), room };
        let rows = Rows { table, kept: at, left, behind: body - form.fields - left };
        self.state = self.with_rows(rows);
        used
    }

    /// Takes rows. Gives how many of `bytes` were used.
    fn rows(&mut self, mut rows: Rows, bytes: &[u8]) -> usize {
        let taken = at_most(rows.left, bytes);
        let each = rows.table.column.row().bytes();
        let mut rest = taken;
        if !self.pending.is_empty() {
            let (first, others) = rest.split_at(rest.len().min(each - self.pending.len()));
            self.pending.extend_from_slice(first);
            rest = others;
            if self.pending.len() == each {
                rows.table.column.push(&self.pending);
                self.pending.clear();
            }
        }
        let (whole, part) = rest.split_at(rest.len() / each * each);
        rows.table.column.push(whole);
        self.pending.extend_from_slice(part);
        self.sieved.cut(taken.len() as u64);
        rows.left -= taken.len() as u64;
        self.state = self.with_rows(rows);
        taken.len()
    }

    /// What follows for a table: more rows, or what is behind them.
    fn with_rows(&mut self, mut rows: Rows) -> State {
        if rows.left > 0 {
            return State::Rows(rows);
        }
        rows.table.column.finish();
        self.sieved.tables.push((rows.kept, rows.table));
        drop_or_go_on(rows.behind)
    }
}

fn drop_or_go_on(left: u64) -> State {
    if left > 0 { State::Drop(left) } else { State::Header }
}

/// The first `most` bytes, or all.
fn at_most(most: u64, bytes: &[u8]) -> &[u8] {
    &bytes[..usize::try_from(most).unwrap_or(usize::MAX).min(bytes.len())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mp4::boxes::Node;
    use proptest::prelude::*;

    fn boxed(kind: [u8; 4], body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(body.len() + 8).expect("small");
        [&size.to_be_bytes()[..], &kind, body].concat()
    }

    fn words(numbers: &[u32]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
    }

    /// A `moov` whose tables have other boxes on all sides.
    fn movie() -> Vec<u8> {
        let stsz = boxed(*b"stsz", &words(&[0, 0, 3, 70_000, 5, 1 << 31]));
        let stts = boxed(*b"stts", &words(&[0, 1, 3, 512, 9, 9]));
        let stbl = boxed(*b"stbl", &[boxed(*b"stsd", b"0123456789"), stsz, stts, boxed(*b"sdtp", b"abc")].concat());
        let media = boxed(*b"mdia", &[boxed(*b"mdhd", b"xyz"), boxed(*b"minf", &stbl)].concat());
        boxed(*b"moov", &[boxed(*b"mvhd", b"mv"), boxed(*b"trak", &media), boxed(*b"udta", b"data")].concat())
    }

    fn sieved(bytes: &[u8], piece: usize) -> Sieved {
        let mut sieve = Sieve::new(bytes.len() as u64, 8);
        bytes.chunks(piece).for_each(|piece| sieve.push(piece));
        assert_eq!(sieve.taken(), bytes.len() as u64);
        sieve.finish()
    }

    fn node(sieved: &Sieved) -> Node<'_> {
        Node { path: "moov".into(), offset: 8, body: &sieved.bytes()[8..], sieved: Some((sieved, 1000)) }
    }

    /// Wherever the pieces are cut, the same is kept, the rows are there, and places are those of the file.
    #[test]
    fn pieces_may_be_cut_anywhere() {
        let movie = movie();
        let place = |kind: &[u8]| 1000 + movie.windows(4).position(|w| w == kind).expect("there") as u64 + 4;
        for piece in 1..=movie.len() {
            let sieved = sieved(&movie, piece);
            let moov = node(&sieved);
            let path =
                |kinds: &[&[u8; 4]]| kinds.iter().fold(moov.clone(), |node, kind| node.require(**kind).expect("kept"));
            let stbl = path(&[b"trak", b"mdia", b"minf", b"stbl"]);
            assert_eq!(stbl.require(*b"stsd").expect("kept").body, b"0123456789");
            assert_eq!(stbl.require(*b"sdtp").expect("kept").body, b"abc");
            assert_eq!(moov.require(*b"udta").expect("kept").body, b"data");
            let stsz = stbl.require(*b"stsz").expect("kept");
            let sizes: Vec<_> = stsz.table(12, 3).expect("there").rows::<1>(3).collect();
            assert_eq!(sizes, [[70_000], [5], [1 << 31]]);
            let stts = stbl.require(*b"stts").expect("kept");
            assert_eq!(stts.table(8, 1).expect("there").rows::<2>(1).collect::<Vec<_>>(), [[3, 512]]);
            let error = stts.table(8, 3).expect_err("two fit").to_string();
            assert!(error.ends_with("claims 3 entries and has room for 2"), "{error}");
            assert!(error.contains(&format!(" at byte {}:", place(b"stts") + 8)), "{error}");
            for (kind, found) in [(b"stsz", &stsz), (b"stts", &stts), (b"udta", &moov.require(*b"udta").expect("kept"))]
            {
                let error = found.malformed(0, "x").to_string();
                assert!(error.contains(&format!(" at byte {}:", place(kind))), "{error}");
            }
            let error = stsz.malformed_row(12, 4, "x").to_string();
            assert!(error.contains(&format!(" at byte {}:", place(b"stsz") + 16)), "{error}");
        }
    }

    /// Numbers that lie are met by who reads what was kept, in the same words.
    #[test]
    fn what_is_wrong_stays_wrong() {
        let whole = movie();
        for at in 8..whole.len() {
            for value in [0, 1, 7, 255] {
                let mut bent = whole.clone();
                bent[at] = value;
                let sieved = sieved(&bent, 5);
                let plain = Node { path: "moov".into(), offset: 1008, body: &bent[8..], sieved: None };
                let walk = |node: &Node<'_>| -> Vec<String> {
                    WAY[1..]
                        .iter()
                        .try_fold((node.clone(), Vec::new()), |(node, mut seen), kind| {
                            seen.extend(
                                node.children().map(|c| c.map_or_else(|e| e.to_string(), |c| c.kind.to_string())),
                            );
                            match node.require(*kind) {
                                Ok(next) => Ok((next, seen)),
                                Err(error) => Err([seen, vec![error.to_string()]].concat()),
                            }
                        })
                        .map_or_else(
                            |seen| seen,
                            |(stbl, mut seen)| {
                                seen.extend(
                                    stbl.children().map(|c| c.map_or_else(|e| e.to_string(), |c| c.kind.to_string())),
                                );
                                seen
                            },
                        )
                };
                assert_eq!(walk(&node(&sieved)), walk(&plain), "byte {at} = {value}");
            }
        }
    }

    proptest! {
        #[test]
        fn anything_is_taken(bytes: Vec<u8>, piece in 1_usize..40) {
            let movie = [&b"\0\0\0\x08moov"[..], &bytes].concat();
            let sieved = sieved(&movie, piece);
            prop_assert!(sieved.bytes().len() <= movie.len());
        }
    }

    #[test]
    fn large_boxes_are_kept_in_part() {
        let large = vec![7; 3 << 20];
        let movie = boxed(*b"moov", &[boxed(*b"meta", &large), boxed(*b"mvhd", b"mv")].concat());
        let sieved = sieved(&movie, 4096);
        let moov = node(&sieved);
        assert_eq!(moov.require(*b"meta").expect("kept").body, &large[..64 << 10]);
        assert_eq!(sieved.bytes().len(), 8 + 8 + (64 << 10) + 10);
        let found = moov.require(*b"mvhd").expect("kept").malformed(0, "x").to_string();
        assert!(found.contains(&format!(" at byte {}:", 1000 + movie.len() - 2)), "{found}");
    }
}
