use super::*;
use crate::track::Sample;
use proptest::prelude::*;

/// What a table must say, without packing.
fn plain(samples: &[Sample], range: std::ops::Range<usize>) -> Vec<Sample> {
    samples[range.start.min(samples.len())..range.end.min(samples.len())].to_vec()
}

/// Samples as containers have them: chunks, few durations, composition offsets on a grid, some sync samples.
fn ordinary() -> impl Strategy<Value = Vec<Sample>> {
    let one = (
        0u32..200_000,
        prop_oneof![3 => Just(0u64), 1 => 1u64..90_000],
        0i32..4,
        prop_oneof![9 => Just(false), 1 => Just(true)],
    );
    let timing = (prop_oneof![Just(3003u32), Just(1024), 1u32..10_000], any::<bool>());
    (proptest::collection::vec(one, 0..700), timing).prop_map(|(rows, (duration, all_sync))| {
        let (mut offset, mut dts) = (48, 0);
        rows.into_iter()
            .map(|(size, gap, steps, sync)| {
                let cts = steps * i32::try_from(duration).unwrap();
                let sample = Sample { offset: offset + gap, size, dts, cts, duration, sync: sync || all_sync };
                offset += gap + u64::from(size);
                dts += i64::from(duration);
                sample
            })
            .collect()
    })
}

/// Samples that no file has, as long as they are ones a file could: times and places that fit their types.
fn odd() -> impl Strategy<Value = Vec<Sample>> {
    let one = (0..1u64 << 60, any::<u32>(), any::<i32>(), any::<u32>(), any::<bool>(), 0i64..1 << 40);
    proptest::collection::vec(one, 0..300).prop_map(|rows| {
        let mut dts = 0;
        rows.into_iter()
            .map(|(offset, size, cts, duration, sync, slip)| {
                let sample = Sample { offset, size, dts: dts + slip, cts, duration, sync };
                dts += slip + i64::from(duration);
                sample
            })
            .collect()
    })
}

fn index(samples: SampleTable) -> MediaIndex {
    let track = Track {
        id: 7,
        timescale: Timescale::new(90_000).unwrap(),
        language: Some("pt-BR".into()),
        name: None,
        codec: Codec::H264 { avcc: vec![1, 0x64, 0, 0x1f, 0xff] },
        kind: TrackKind::Video(VideoFormat {
            width: 1920,
            height: 1080,
            sample_aspect: (4, 3),
            matrix: [0, 65536, 0, -65536, 0, 0, 70_778_880, 0, 1 << 30],
            rotation: Rotation::Quarter,
            colour: Some(Colour { primaries: 9, transfer: 16, matrix: 9, full_range: true }),
        }),
        edit: Edit { delay: 300, start: 0, end: Some(1 << 50), ..Edit::default() },
        samples: samples.clone(),
        open_gop: true,
    };
    let sound = Track {
        id: 8,
        name: Some("Ton".into()),
        codec: Codec::Aac { asc: vec![0x12, 0x10] },
        kind: TrackKind::Audio(AudioFormat { sample_rate: 44_100, channels: 2 }),
        edit: Edit { delay: 0, start: 0, end: Some(1 << 50), ..Edit::default() },
        open_gop: false,
        ..track.clone()
    };
    let ignored = CAUSES.iter().zip(1..).map(|(&cause, id)| IgnoredTrack {
        id,
        what: "tmcd".into(),
        is_video: id % 2 == 0,
        cause,
        reason: "x".into(),
    });
    let tracks = vec![track, sound];
    let duration = tracks.iter().map(Track::duration).max().unwrap();
    MediaIndex {
        container: Container::Mov,
        file_size: 1 << 62,
        tracks,
        ignored: ignored.collect(),
        duration,
        cut_off: Some(1 << 40),
    }
}

fn check_table(samples: &[Sample], table: &SampleTable, probes: &[usize]) -> Result<(), TestCaseError> {
    prop_assert_eq!(table.len(), samples.len());
    prop_assert_eq!(table.range(0..usize::MAX).collect::<Vec<_>>(), samples);
    let sync: Vec<_> = samples.iter().enumerate().filter(|(_, s)| s.sync).map(|(i, _)| i).collect();
    prop_assert_eq!(table.sync_samples().collect::<Vec<_>>(), sync);
    for &probe in probes {
        prop_assert_eq!(table.get(probe), samples.get(probe).copied());
        prop_assert_eq!(table.range(probe..probe + 150).collect::<Vec<_>>(), plain(samples, probe..probe + 150));
        let dts = samples.get(probe).map_or(i64::MAX, |s| s.dts);
        for near in [dts.saturating_sub(1), dts, dts.saturating_add(1)] {
            prop_assert_eq!(table.first_at_or_after(near), samples.partition_point(|s| s.dts < near));
        }
    }
    let shown = |s: &Sample| s.dts + i64::from(s.cts) + i64::from(s.duration);
    prop_assert_eq!(table.end_pts(), samples.iter().map(shown).max().unwrap_or(0));
    prop_assert_eq!(table.end_dts(), samples.last().map_or(0, |s| s.dts + i64::from(s.duration)));
    prop_assert_eq!(table.min_cts(), samples.iter().map(|s| s.cts).min().unwrap_or(0));
    Ok(())
}

proptest! {
    #[test]
    fn a_packed_table_is_the_plain_vector(
        samples in prop_oneof![ordinary(), odd()],
        probes in proptest::collection::vec(0usize..800, 8),
    ) {
        let table = SampleTable::from_samples(samples.clone());
        check_table(&samples, &table, &probes)?;
        let index = index(table);
        let stored = index.encode();
        let opened = MediaIndex::decode(&stored).expect("what was just written");
        prop_assert_eq!(&opened, &index);
        check_table(&samples, &opened.tracks[0].samples, &probes)?;
        prop_assert_eq!(opened.encode(), stored);
    }

    #[test]
    fn damage_is_an_error(samples in ordinary(), at: proptest::sample::Index, bit in 0..8) {
        let mut stored = index(SampleTable::from_samples(samples)).encode();
        let at = at.index(stored.len());
        stored[at] ^= 1u8 << bit;
        prop_assert!(MediaIndex::decode(&stored).is_err());
        stored[at] ^= 1u8 << bit;
        prop_assert!(MediaIndex::decode(&stored[..at]).is_err());
    }

    /// With a checksum that is right, as a stranger would make it.
    #[test]
    fn forgeries_are_harmless(
        samples in ordinary(),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut stored = index(SampleTable::from_samples(samples)).encode();
        stored.truncate(stored.len() - 4);
        for (at, value) in changes {
            let at = at.index(stored.len());
            stored[at] = value;
        }
        let sum = crc32c::crc32c(&stored);
        stored.extend(sum.to_le_bytes());
        let Ok(index) = MediaIndex::decode(&stored) else { return Ok(()) };
        for track in &index.tracks {
            for sample in track.samples.range(0..track.samples.len()) {
                prop_assert!(sample.size == 0 || sample.offset + u64::from(sample.size) <= index.file_size);
            }
            let _ = (track.codec.codec_string(), track.duration());
        }
    }
}

#[test]
fn what_else_may_be_stored_is_told_apart() {
    let stored = index(SampleTable::default()).encode();
    assert_eq!(MediaIndex::decode(b""), Err(StoredIndexError::NotAnIndex));
    assert_eq!(MediaIndex::decode(b"{\"json\": 1}"), Err(StoredIndexError::NotAnIndex));
    let mut newer = stored.clone();
    newer[4] = VERSION + 1;
    assert_eq!(MediaIndex::decode(&newer), Err(StoredIndexError::Version(VERSION + 1)));
}
