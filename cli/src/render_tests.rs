use super::*;

fn stamp(seconds: i64) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds, nanos: 123_456_789 }
}

fn ready() -> pb::Video {
    let part = |state: pb::PartState, reason: &str| {
        Some(pb::Part { state: state.into(), reason: reason.into(), generation: String::new() })
    };
    pb::Video {
        id: "01930000-0000-7000-8000-000000000001".into(),
        owner: "local".into(),
        title: "By the sea \u{1b}[31m海".into(),
        description: "First line\n\nthird line".into(),
        tags: vec!["sea".into(), "holiday".into()],
        state: pb::VideoState::Ready.into(),
        warnings: vec![pb::Warning { code: "NOT_IN_CHROME".into(), message: "HEVC plays in Safari".into() }],
        revision: 12,
        create_time: Some(stamp(1_763_805_600)),
        update_time: Some(stamp(1_763_805_660)),
        file_name: "sea.mp4".into(),
        upload: Some(pb::UploadPart {
            state: pb::UploadState::Complete.into(),
            size: 123_456_789,
            received: 123_456_789,
            blake3: vec![0xab; 32],
            reason: String::new(),
        }),
        media: Some(media()),
        source_rendition: part(pb::PartState::Ready, ""),
        storyboard: part(pb::PartState::Failed, "keyframes do not decode alone"),
        poster: part(pb::PartState::NotOffered, "it has no pictures"),
        captions: vec![pb::Captions {
            language: "pt-BR".into(),
            label: "Português".into(),
            forced: true,
            cues: 1,
            size: 70,
            ..Default::default()
        }],
        views: 1_234,
        ..Default::default()
    }
}

fn media() -> pb::Media {
    let pictures = pb::MediaTrack {
        id: 1,
        kind: pb::TrackKind::Video.into(),
        codec: "hvc1.1.6.L93.B0".into(),
        width: 1080,
        height: 1920,
        rotation_degrees: 90,
        frame_rate: 30_000.0 / 1001.0,
        bit_rate: 4_200_000,
        ..Default::default()
    };
    let sound = pb::MediaTrack {
        id: 2,
        kind: pb::TrackKind::Audio.into(),
        codec: "mp4a.40.2".into(),
        language: "en".into(),
        name: "Director".into(),
        sample_rate: 48_000,
        channels: 2,
        bit_rate: 128_000,
        ..Default::default()
    };
    pb::Media {
        container: "mov".into(),
        duration: Some(prost_types::Duration { seconds: 634, nanos: 600_000_000 }),
        tracks: vec![pictures, sound],
        ignored: vec![pb::IgnoredTrack { id: 3, what: "tmcd".into(), reason: "time codes are not played".into() }],
        plays_in: vec![pb::Player::Mse.into(), pb::Player::Avplayer.into()],
    }
}

fn failed() -> pb::Video {
    pb::Video {
        id: "01930000-0000-7000-8000-000000000002".into(),
        title: "notes".into(),
        state: pb::VideoState::Failed.into(),
        failure: "this is not a video: it is a text file".into(),
        upload: Some(pb::UploadPart { size: 17, ..Default::default() }),
        ..Default::default()
    }
}

#[test]
fn a_sheet_tells_everything() {
    insta::assert_snapshot!(sheet(&ready()));
    insta::assert_snapshot!("sheet_of_a_failed_video", sheet(&failed()));
}

#[test]
fn a_table_has_a_line_a_video() {
    insta::assert_snapshot!(table(&[ready(), failed()]));
    insta::assert_snapshot!("empty_table", table(&[]));
}

#[test]
fn events_are_lines() {
    let progress = pb::Progress {
        video_id: failed().id,
        stage: pb::Stage::Storyboard.into(),
        percent: 45.4,
        speed: 3.25,
        left_at_least: Some(prost_types::Duration { seconds: 4, nanos: 0 }),
        left_at_most: Some(prost_types::Duration { seconds: 6, nanos: 0 }),
        state: pb::PartState::Running.into(),
        ..Default::default()
    };
    let waiting = pb::Progress { state: pb::PartState::Waiting.into(), queue_position: 3, ..progress.clone() };
    let finished = pb::Progress { state: pb::PartState::Ready.into(), percent: 100.0, ..progress.clone() };
    let events = [
        Event::Changed(ready()),
        Event::Changed(failed()),
        Event::Progress(waiting),
        Event::Progress(progress),
        Event::Progress(finished),
        Event::Purged(pb::PurgedVideo { video_id: failed().id, revision: 9 }),
        Event::Reset(pb::WatchReset {}),
        Event::Current(pb::WatchCurrent {}),
    ];
    let lines: Vec<String> = events.iter().map(|event| super::event(event).unwrap_or_default()).collect();
    insta::assert_snapshot!(lines.join("\n"));
}
