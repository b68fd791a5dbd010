//! Edit lists (ISO/IEC 14496-12 §8.6.6), reduced to the one edit a track may have.

use super::boxes::Node;
use super::error::IndexError;
use crate::time::Timescale;
use crate::track::Edit;

/// The longest time that is believed, in ticks: sums of a few such times can't overflow.
const MAX_TICKS: i64 = 1 << 58;

/// More edits than are looked at: nobody cuts one shot into so many contiguous ones.
const MOST_EDITS: u32 = 10_000;

/// What an edit list amounts to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Edits {
    /// One edit after contiguous ones were merged.
    One(Edit),
    /// Parts of the media out of order, repeated or with gaps.
    Several,
    /// A speed other than 1, or a still.
    Speed,
}

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
pub(super) fn read(elst: &Node<'_>, scales: Scales) -> Result<Edits, IndexError> {
    let (version, _, mut fields) = elst.full()?;
    let count = fields.u32()?;
    if count > MOST_EDITS {
        return Ok(Edits::Several);
    }
    let entries: Vec<Entry> = match version {
        0 => fields.table::<12>(count)?.iter().map(Entry::narrow).collect(),
        1 => fields.table::<20>(count)?.iter().map(Entry::wide).collect(),
        version => return Err(elst.malformed(0, format!("unknown version {version}"))),
    };
    // Movie time in, as durations add up in it without rounding.
    let (mut delay, mut shown, mut start) = (0i64, 0i64, None);
    let mut open_ended = false;
    for entry in entries {
        let duration = i64::try_from(entry.duration).ok().filter(|&d| d <= MAX_TICKS);
        let duration = duration.ok_or_else(|| elst.malformed(8, "an edit lasts for thousands of years"))?;
        match (entry.media_time, start) {
            (-1, None) => delay = bounded(elst, delay + duration)?,
            // An empty edit behind the last one shows nothing; one in between is caught by the next real edit.
            (-1, Some(_)) => open_ended = true,
            (time, _) if !(0..=MAX_TICKS).contains(&time) => {
                return Err(elst.malformed(8, format!("an edit begins at media time {time}")));
            }
            _ if entry.rate != 0x1_0000 => return Ok(Edits::Speed),
            (time, None) => {
                start = Some(time);
                shown = duration;
                open_ended = duration == 0;
            }
            (time, Some(first)) => {
                // A tick of the movie is the precision with which an edit's end is known.
                let end = first.saturating_add(scales.to_media(shown));
                if open_ended || (time - end).abs() > scales.to_media(1).max(1) {
                    return Ok(Edits::Several);
                }
                shown = bounded(elst, shown + duration)?;
                open_ended = duration == 0;
            }
        }
    }
    let start_ticks = start.unwrap_or(0);
    let end = (start.is_some() && shown > 0).then(|| start_ticks.saturating_add(scales.to_media(shown)));
    Ok(Edits::One(Edit { delay: bounded(elst, scales.to_media(delay))?, start: start_ticks, end }))
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

    fn edits(rows: &[(u32, i32, u32)]) -> Result<Edits, IndexError> {
        let mut body = vec![0, 0, 0, 0];
        body.extend(u32::try_from(rows.len()).unwrap().to_be_bytes());
        for (duration, time, rate) in rows {
            body.extend(duration.to_be_bytes());
            body.extend(time.to_be_bytes());
            body.extend(rate.to_be_bytes());
        }
        let (movie, media) = (Timescale::new(SCALES.0).unwrap(), Timescale::new(SCALES.1).unwrap());
        read(&Node { path: "elst".into(), offset: 0, body: &body }, Scales { movie, media })
    }

    fn one(delay: i64, start: i64, end: Option<i64>) -> Edits {
        Edits::One(Edit { delay, start, end })
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
        assert_eq!(edits(&[(1000, 0, PLAIN), (1000, 0, PLAIN)]), Ok(Edits::Several));
        assert_eq!(edits(&[(1000, 0, PLAIN), (10, -1, PLAIN), (1000, 90_000, PLAIN)]), Ok(Edits::Several));
        assert_eq!(edits(&[(1000, 0, 0x2_0000)]), Ok(Edits::Speed));
        assert_eq!(edits(&[(1000, 0, 0)]), Ok(Edits::Speed));
        assert!(edits(&[(1000, -2, PLAIN)]).is_err());
    }

    #[test]
    fn absurd_durations_are_refused() {
        let mut body = vec![1, 0, 0, 0, 0, 0, 0, 1];
        body.extend(u64::MAX.to_be_bytes());
        body.extend(0i64.to_be_bytes());
        body.extend(PLAIN.to_be_bytes());
        let (movie, media) = (Timescale::new(1).unwrap(), Timescale::new(u32::MAX).unwrap());
        let refused =
            |body: &[u8]| read(&Node { path: "elst".into(), offset: 0, body }, Scales { movie, media }).is_err();
        assert!(refused(&body));
        body[8..16].copy_from_slice(&(1u64 << 57).to_be_bytes());
        body[16..24].copy_from_slice(&(-1i64).to_be_bytes());
        assert!(refused(&body));
    }
}
