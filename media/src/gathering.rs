//! Samples of one track on their way into its table, and what is noticed of them.

use crate::index::IgnoredCause;
use crate::track::{Sample, SampleTable, SampleTableBuilder};

/// The longest that one sample may last, in ticks.
const LONGEST: i64 = (u32::MAX / 2) as i64;

/// What the samples of one track amount to.
#[derive(Debug)]
pub(crate) struct Samples {
    pub table: SampleTable,
    /// Whether some sample is shown before the sync sample that it follows in decode order.
    pub open_gop: bool,
    /// Whether samples are shown in another order than they are decoded.
    pub reordered: bool,
    /// Latest end of presentation, in media ticks.
    pub end: i64,
    /// One past the last byte of any sample.
    pub bytes_end: u64,
}

impl Samples {
    /// Why they can't be played, as pictures or as sound.
    pub fn useless(&self, is_video: bool) -> Option<(IgnoredCause, &'static str)> {
        if self.table.is_empty() {
            return Some((IgnoredCause::Empty, "it has no samples"));
        }
        if self.table.sync_samples().next().is_none() {
            return Some((IgnoredCause::Damaged, "it marks no sample as one where decoding can begin"));
        }
        let all_sync = || self.table.sync_samples().nth(self.table.len() - 1).is_some();
        let contradicts = is_video && self.reordered && all_sync();
        contradicts.then_some((IgnoredCause::Damaged, "it shows pictures out of order and calls all of them keyframes"))
    }
}

/// A sample as a file describes it; when it is decoded follows from those before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Described {
    pub offset: u64,
    pub size: u32,
    pub duration: u32,
    pub cts: i32,
    pub sync: bool,
}

/// The samples of one track so far, in decode order, the first decoded at zero.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    builder: SampleTableBuilder,
    /// The last sample and its decode time; how long it lasts may still change.
    last: Option<(i64, Described)>,
    /// Decode time of the next sample.
    next: i64,
    end: Option<i64>,
    bytes_end: u64,
    /// When the last sync sample is shown, and the last sample.
    last_sync: Option<i64>,
    last_shown: Option<i64>,
    open_gop: bool,
    reordered: bool,
}

impl Gathering {
    /// Whether no sample came yet.
    pub fn is_empty(&self) -> bool {
        self.last.is_none()
    }

    /// Appends the next sample; what is wrong with it, otherwise.
    pub fn push(&mut self, sample: Described) -> Result<(), String> {
        if i64::from(sample.duration) > LONGEST {
            return Err(format!("a sample lasts {} ticks", sample.duration));
        }
        self.flush();
        self.last = Some((self.next, sample));
        self.next += i64::from(sample.duration);
        Ok(())
    }

    /// Lets the last sample last until `dts`, when the next one is decoded. A time that does not go on from the last
    /// sample is not believed: the next one follows as if nothing had been said.
    pub fn go_on_at(&mut self, dts: i64) -> Result<(), String> {
        let Some((since, last)) = &mut self.last else { return Ok(()) };
        let ticks = dts.saturating_sub(*since);
        if ticks > LONGEST {
            return Err(format!("nothing is there for {ticks} ticks"));
        }
        if let Ok(duration @ 1..) = u32::try_from(ticks) {
            last.duration = duration;
            self.next = dts;
        }
        Ok(())
    }

    fn flush(&mut self) {
        let Some((dts, Described { offset, size, duration, cts, sync })) = self.last.take() else { return };
        let shown = dts + i64::from(cts);
        if sync {
            self.last_sync = Some(shown);
        } else if self.last_sync.is_some_and(|sync| shown < sync) {
            self.open_gop = true;
        }
        self.reordered |= self.last_shown.is_some_and(|last| shown < last);
        self.last_shown = Some(shown);
        self.builder.push(Sample { offset, size, dts, cts, duration, sync });
        self.end = self.end.max(Some(shown + i64::from(duration)));
        if size > 0 {
            self.bytes_end = self.bytes_end.max(offset.saturating_add(size.into()));
        }
    }

    /// Decode time of the next sample, if it follows the last one.
    pub fn next(&self) -> i64 {
        self.next
    }

    /// All of them.
    pub fn finish(mut self) -> Samples {
        self.flush();
        Samples {
            table: self.builder.finish(),
            open_gop: self.open_gop,
            reordered: self.reordered,
            end: self.end.unwrap_or(0),
            bytes_end: self.bytes_end,
        }
    }
}
