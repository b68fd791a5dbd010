//! Edit lists (ISO/IEC 14496-12 §8.6.6), reduced to the one edit a track may have.

use super::boxes::Node;
use crate::indexer::IndexError;
use crate::time::Timescale;
use crate::track::{Edit, Parts};

/// The longest time that is believed, in ticks: sums of a few such times can't overflow.
const MAX_TICKS: i64 = 1 << 58;

/// More edits than are looked at: nobody cuts one shot into so many contiguous ones.
const MOST_EDITS: u32 = 10_000;

/// Timescales an edit list is written in: durations in the movie's, times in the track's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scales {
    pub movie: Timescale,
    pub media: Timescale,
}

impl Scales {
    fn to_media(self, ticks: i64) -> i64 {
        self.movie.convert(ticks, self.media)
    }
}

/// Reads `elst`.
pub(super) fn read(elst: &Node<'_>, scales: Scales) -> Result<Edit, IndexError> {
    let (version, _, mut fields) = elst.full()?;
    let count = fields.u32()?;
    if count > MOST_EDITS {
        return Err(elst.over_limit(count.into(), MOST_EDITS.into(), "edits"));
    }
    let entries: Vec<Entry> = match version {
        0 => fields.table::<12>(count)?.iter().map(Entry::narrow).collect(),
        1 => fields.table::<20>(count)?.iter().map(Entry::wide).collect(),
        version => return Err(elst.malformed(0, format!("unknown version {version}"))),
    };
    let mut reading = Reading::new(elst, scales);
    for entry in entries {
        reading.add(&entry)?;
    }
    reading.finish()
}

/// An edit list so far. Movie time, as durations add up in it without rounding.
struct Reading<'n> {
    elst: &'n Node<'n>,
    scales: Scales,
    delay: i64,
    /// Time that media is shown, and time between such that shows nothing.
    shown: i64,
    waited: i64,
    /// Media time of the first edit that shows any.
    start: Option<i64>,
    /// The last edit shows all that is left.
    open: bool,
    parts: Parts,
}

impl<'n> Reading<'n> {
    fn new(elst: &'n Node<'n>, scales: Scales) -> Self {
        Self { elst, scales, delay: 0, shown: 0, waited: 0, start: None, open: false, parts: Parts::One }
    }

    fn add(&mut self, entry: &Entry) -> Result<(), IndexError> {
        let elst = self.elst;
        let duration = i64::try_from(entry.duration).ok().filter(|&d| d <= MAX_TICKS);
        let duration = duration.ok_or_else(|| elst.malformed(8, "an edit lasts for thousands of years"))?;
        if entry.media_time == -1 {
            // An empty edit behind the last one shows nothing; one in between is caught by the next real edit.
            let wait = if self.start.is_none() { &mut self.delay } else { &mut self.waited };
            *wait = bounded(elst, *wait + duration)?;
            return Ok(());
        }
        if !(0..=MAX_TICKS).contains(&entry.media_time) {
            return Err(elst.malformed(8, format!("an edit begins at media time {}", entry.media_time)));
        }
        if entry.rate != 0x1_0000 {
            self.parts = Parts::Speed;
        }
        if let Some(first) = self.start {
            // A tick of the movie is the precision with which an edit's end is known.
            let end = first.saturating_add(self.scales.to_media(self.shown));
            let apart = (entry.media_time - end).abs() > self.scales.to_media(1).max(1);
            if self.parts == Parts::One && (self.open || self.waited > 0 || apart) {
                self.parts = Parts::Several;
            }
        }
        self.start.get_or_insert(entry.media_time);
        self.shown = bounded(elst, self.shown + duration)?;
        self.open = duration == 0;
        Ok(())
    }

    fn finish(self) -> Result<Edit, IndexError> {
        let Self { elst, scales, parts, .. } = self;
        let delay = bounded(elst, scales.to_media(self.delay))?;
        if parts != Parts::One {
            // What is shown when is not said: only how long all of it lasts.
            let all = bounded(elst, scales.to_media(self.shown.saturating_add(self.waited)))?;
            return Ok(Edit { delay, start: 0, end: Some(all), parts });
        }
        let start = self.start.unwrap_or(0);
        let end = (self.start.is_some() && self.shown > 0).then(|| start.saturating_add(scales.to_media(self.shown)));
        Ok(Edit { delay, start, end, parts })
    }
}

fn bounded(elst: &Node<'_>, ticks: i64) -> Result<i64, IndexError> {
    if ticks > MAX_TICKS {
        return Err(elst.malformed(8, "the edits last for thousands of years"));
    }
    Ok(ticks)
}

/// One row of the list.
struct Entry {
    duration: u64,
    media_time: i64,
    rate: u32,
}

impl Entry {
    fn narrow(row: &[u8; 12]) -> Self {
        let (words, _) = row.as_chunks::<4>();
        Self {
            duration: u32::from_be_bytes(words[0]).into(),
            media_time: i32::from_be_bytes(words[1]).into(),
            rate: u32::from_be_bytes(words[2]),
        }
    }

    fn wide(row: &[u8; 20]) -> Self {
        let (parts, rate) = row.as_chunks::<8>();
        let rate = rate.first_chunk().copied().unwrap_or_default();
        Self {
            duration: u64::from_be_bytes(parts[0]),
            media_time: i64::from_be_bytes(parts[1]),
            rate: u32::from_be_bytes(rate),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCALES: (u32, u32) = (1000, 90_000);

    fn edits(rows: &[(u32, i32, u32)]) -> Result<Edit, IndexError> {
        let mut body = vec![0, 0, 0, 0];
        body.extend(u32::try_from(rows.len()).unwrap().to_be_bytes());
        for (duration, time, rate) in rows {
            body.extend(duration.to_be_bytes());
            body.extend(time.to_be_bytes());
            body.extend(rate.to_be_bytes());
        }
        let (movie, media) = (Timescale::new(SCALES.0).unwrap(), Timescale::new(SCALES.1).unwrap());
        read(&Node { path: "elst".into(), offset: 0, body: &body, sieved: None }, Scales { movie, media })
    }

    fn one(delay: i64, start: i64, end: Option<i64>) -> Edit {
        Edit { delay, start, end, parts: Parts::One }
    }

    fn many(parts: Parts, all: i64) -> Edit {
        Edit { delay: 0, start: 0, end: Some(all), parts }
    }

    const PLAIN: u32 = 0x1_0000;

    #[test]
    fn delays_add_up_and_contiguous_edits_merge() {
        assert_eq!(edits(&[]), Ok(one(0, 0, None)));
        assert_eq!(edits(&[(2000, 1024, PLAIN)]), Ok(one(0, 1024, Some(1024 + 180_000))));
        assert_eq!(edits(&[(100, -1, PLAIN), (150, -1, PLAIN), (0, 3003, PLAIN)]), Ok(one(22_500, 3003, None)));
        assert_eq!(edits(&[(1000, 0, PLAIN), (500, 90_000, PLAIN)]), Ok(one(0, 0, Some(135_000))));
        // Rounded to the movie's milliseconds: 33 ms are 2970 ticks, the frame 3003.
        assert_eq!(edits(&[(33, 0, PLAIN), (500, 3003, PLAIN)]), Ok(one(0, 0, Some(47_970))));
        assert_eq!(edits(&[(1000, 0, PLAIN), (500, -1, PLAIN)]), Ok(one(0, 0, Some(90_000))));
    }

    #[test]
    fn what_one_edit_cannot_say() {
        assert_eq!(edits(&[(1000, 0, PLAIN), (1000, 0, PLAIN)]), Ok(many(Parts::Several, 180_000)));
        let apart = edits(&[(1000, 0, PLAIN), (10, -1, PLAIN), (1000, 90_000, PLAIN)]);
        assert_eq!(apart, Ok(many(Parts::Several, 180_900)));
        assert_eq!(edits(&[(1000, 0, 0x2_0000)]), Ok(many(Parts::Speed, 90_000)));
        assert_eq!(edits(&[(1000, 0, 0)]), Ok(many(Parts::Speed, 90_000)));
        assert!(edits(&[(1000, -2, PLAIN)]).is_err());
    }

    #[test]
    fn absurd_durations_are_refused() {
        let mut body = vec![1, 0, 0, 0, 0, 0, 0, 1];
        body.extend(u64::MAX.to_be_bytes());
        body.extend(0i64.to_be_bytes());
        body.extend(PLAIN.to_be_bytes());
        let (movie, media) = (Timescale::new(1).unwrap(), Timescale::new(u32::MAX).unwrap());
        let refused = |body: &[u8]| {
            read(&Node { path: "elst".into(), offset: 0, body, sieved: None }, Scales { movie, media }).is_err()
        };
        assert!(refused(&body));
        body[8..16].copy_from_slice(&(1u64 << 57).to_be_bytes());
        body[16..24].copy_from_slice(&(-1i64).to_be_bytes());
        assert!(refused(&body));
    }
}
