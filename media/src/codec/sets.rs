//! Parameter sets in decoder configuration records.

/// Whether an `avcC` (ISO/IEC 14496-15 §5.3.3.1) holds at least one SPS and one PPS.
pub(super) fn h264(avcc: &[u8]) -> bool {
    let Some((&sequence, rest)) = avcc.get(5..).and_then(<[u8]>::split_first) else { return false };
    let count = sequence & 0x1f;
    let picture = (0..count).try_fold(rest, |rest, _| after_set(rest)).and_then(|rest| rest.first());
    count > 0 && picture.is_some_and(|count| *count > 0)
}

/// Whether an `hvcC` (ISO/IEC 14496-15 §8.3.3.1) holds at least one VPS, SPS and PPS.
pub(super) fn hevc(hvcc: &[u8]) -> bool {
    let mut found = [false; 3];
    let _ = note_hevc(hvcc, &mut found);
    found == [true; 3]
}

/// Notes which kinds of sets are there; none where the record is cut off.
fn note_hevc(hvcc: &[u8], found: &mut [bool; 3]) -> Option<()> {
    const VPS_SPS_PPS: [u8; 3] = [32, 33, 34];
    let (&arrays, mut rest) = hvcc.get(22..)?.split_first()?;
    for _ in 0..arrays {
        let (&kind, after) = rest.split_first()?;
        let (count, after) = after.split_first_chunk()?;
        rest = after;
        for _ in 0..u16::from_be_bytes(*count) {
            rest = after_set(rest)?;
            if let Some(at) = VPS_SPS_PPS.iter().position(|&wanted| wanted == kind & 0x3f) {
                found[at] = true;
            }
        }
    }
    Some(())
}

/// What follows a set and its length of 16 bits.
fn after_set(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.get(usize::from(u16::from_be_bytes(*length))..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_h264() {
        let record = [1, 0x64, 0, 0x1f, 0xff];
        assert!(h264(&[&record[..], &[0xe1, 0, 1, 0x67, 1, 0, 1, 0x68]].concat()));
        assert!(!h264(&[&record[..], &[0xe0, 1, 0, 1, 0x68]].concat()), "no SPS");
        assert!(!h264(&[&record[..], &[0xe1, 0, 1, 0x67, 0]].concat()), "no PPS");
        assert!(!h264(&[&record[..], &[0xe1, 0, 9, 0x67]].concat()), "cut off");
        assert!(!h264(&record));
    }

    #[test]
    fn sets_of_hevc() {
        let set = |kind: u8| [kind, 0, 1, 0, 1, 7];
        let record = |kinds: &[u8]| {
            let sets: Vec<u8> = kinds.iter().flat_map(|kind| set(*kind)).collect();
            [&[1; 22][..], &[u8::try_from(kinds.len()).unwrap()], &sets].concat()
        };
        assert!(hevc(&record(&[0x20, 0xa1, 0x22])));
        assert!(!hevc(&record(&[0x20, 0x21])));
        assert!(!hevc(&record(&[0x20, 0x21, 0x22])[..30]));
    }
}
