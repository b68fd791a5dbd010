//! What became of a video's file, as text for people: its tracks, then the steps with what each took.

use crate::text::{self, clean};
use std::fmt::Write as _;
use std::time::Duration;
use vidstream_proto::pb::{self, PartState, Treatment};

/// The whole of it.
pub fn text(explanation: &pb::Explanation) -> String {
    let mut out = format!("{}: {}\n", clean(&explanation.file_name), clean(&explanation.file));
    for track in &explanation.tracks {
        let _ = writeln!(out, "\n{}", heading(track));
        for rendition in &track.renditions {
            let _ = writeln!(out, "    {}", way(rendition));
        }
    }
    out.push('\n');
    for step in &explanation.steps {
        out += &of_step(step);
    }
    out
}

fn heading(track: &pb::ExplainedTrack) -> String {
    let name = if track.name.is_empty() { "-" } else { &track.name };
    let kind = match track.kind() {
        pb::TrackKind::Video => "pictures",
        pb::TrackKind::Audio => "sound",
        pb::TrackKind::Unspecified => "track",
    };
    format!("{:<3} {kind} {}, {}", clean(name), track.id, clean(&track.codec))
}

/// `encoded to avc1.640028 (running): HEVC does not play in …`
fn way(rendition: &pb::ExplainedRendition) -> String {
    let mut words = match rendition.treatment() {
        Treatment::Unspecified => "unknown",
        Treatment::Kept => "kept",
        Treatment::Repackaged => "repackaged",
        Treatment::Normalised => "normalised",
        Treatment::Encoded => "encoded",
        Treatment::Ignored => "ignored",
    }
    .to_owned();
    if rendition.treatment() == Treatment::Encoded {
        if !rendition.codec.is_empty() {
            let _ = write!(words, " to {}", rendition.codec);
        }
        let state = match &rendition.part {
            Some(part) if part.reason.is_empty() => text::part_state(part.state()).to_owned(),
            part => text::part(part.as_ref()),
        };
        let _ = write!(words, " ({state})");
    }
    clean(&format!("{words}: {}", rendition.reason))
}

fn of_step(step: &pb::ExplainedStep) -> String {
    let name = format!("{} {}", text::stage(step.stage()), step.track);
    let part = step.part.as_ref();
    let state = part.map_or(PartState::Unspecified, pb::Part::state);
    let mut words = match state {
        PartState::Running => format!("running: {}", text::progress(&progress(step))),
        _ => text::part(part),
    };
    if state == PartState::Waiting && step.queue_position > 0 {
        let _ = write!(words, ", {} before it", step.queue_position);
    }
    if let Some(work) = &step.work {
        let _ = write!(words, ": {}", took(work));
    }
    let mut out = format!("{:<12}{}\n", clean(name.trim_end()), clean(&words));
    if step.attempts > 0 {
        let tries = if step.attempts == 1 { "attempt has" } else { "attempts have" };
        out += &below(&format!("{} {tries} failed: {}", step.attempts, step.last_failure));
    }
    if let Some(work) = step.work.as_ref().filter(|work| !work.arguments.is_empty()) {
        let words: Vec<_> = work.arguments.iter().map(|word| quoted(word)).collect();
        out += &below(&format!("ffmpeg {}", words.join(" ")));
    }
    out
}

fn below(text: &str) -> String {
    format!("            {}\n", clean(text))
}

fn progress(step: &pb::ExplainedStep) -> pb::Progress {
    pb::Progress {
        percent: step.percent,
        speed: step.speed,
        left_at_least: step.left_at_least,
        left_at_most: step.left_at_most,
        state: PartState::Running.into(),
        ..pb::Progress::default()
    }
}

/// `1.24 s, 2.10 s of processors, 12.3 MiB in, 11.9 MiB out`
fn took(work: &pb::Work) -> String {
    let seconds = |time: Duration| format!("{:.2} s", time.as_secs_f64());
    let wall = text::duration(work.wall.as_ref()).map(seconds);
    let cpu = text::duration(work.cpu.as_ref()).map(|time| format!("{} of processors", seconds(time)));
    let bytes = [format!("{} in", text::size(work.bytes_in)), format!("{} out", text::size(work.bytes_out))];
    wall.into_iter().chain(cpu).chain(bytes).collect::<Vec<_>>().join(", ")
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(state: PartState, reason: &str) -> pb::Part {
        pb::Part { state: state.into(), reason: reason.into(), generation: String::new() }
    }

    fn rendition(way: Treatment, state: PartState, codec: &str, reason: &str) -> pb::ExplainedRendition {
        pb::ExplainedRendition {
            treatment: way.into(),
            part: Some(part(state, "")),
            codec: codec.into(),
            reason: reason.into(),
        }
    }

    fn explanation() -> pb::Explanation {
        let work = pb::Work {
            arguments: ["-v", "error", "-vf", "scale='min(1,2)'", "pipe:1"].map(ToOwned::to_owned).to_vec(),
            wall: Some(prost_types::Duration { seconds: 1, nanos: 240_000_000 }),
            bytes_in: 13_000_000,
            bytes_out: 12_500_000,
            cpu: Some(prost_types::Duration { seconds: 2, nanos: 100_000_000 }),
        };
        let pictures = pb::ExplainedTrack {
            name: "v1".into(),
            id: 1,
            kind: pb::TrackKind::Video.into(),
            codec: "hvc1.1.6.L93.B0".into(),
            renditions: vec![
                rendition(Treatment::Normalised, PartState::Ready, "hvc1.1.6.L93.B0", "an MPEG transport stream"),
                rendition(Treatment::Repackaged, PartState::Ready, "hvc1.1.6.L93.B0", "on request"),
                rendition(Treatment::Encoded, PartState::Ready, "avc1.64001f", "HEVC does not play everywhere"),
            ],
        };
        let other = pb::ExplainedTrack {
            id: 3,
            codec: "tmcd\u{1b}[2J".into(),
            renditions: vec![rendition(Treatment::Ignored, PartState::NotOffered, "", "time codes are not played")],
            ..pb::ExplainedTrack::default()
        };
        let step =
            |stage: pb::Stage, part| pb::ExplainedStep { stage: stage.into(), part: Some(part), ..Default::default() };
        pb::Explanation {
            video_id: "01930000-0000-7000-8000-000000000001".into(),
            file_name: "sea.ts".into(),
            file: "it is an MPEG transport stream".into(),
            tracks: vec![pictures, other],
            steps: vec![
                step(pb::Stage::Index, part(PartState::Ready, "it is an MPEG transport stream")),
                pb::ExplainedStep { work: Some(work), ..step(pb::Stage::Normalise, part(PartState::Ready, "")) },
                pb::ExplainedStep {
                    track: "v1".into(),
                    percent: 45.2,
                    speed: 3.21,
                    left_at_least: Some(prost_types::Duration { seconds: 4, nanos: 0 }),
                    left_at_most: Some(prost_types::Duration { seconds: 6, nanos: 0 }),
                    attempts: 1,
                    last_failure: "ffmpeg was ended by signal 9".into(),
                    ..step(pb::Stage::Encode, part(PartState::Running, ""))
                },
                pb::ExplainedStep {
                    queue_position: 2,
                    ..step(pb::Stage::Poster, part(PartState::Waiting, "it waits for a worker"))
                },
                step(pb::Stage::Storyboard, part(PartState::Failed, "the keyframes can't be decoded")),
            ],
        }
    }

    #[test]
    fn tracks_then_steps() {
        insta::assert_snapshot!(text(&explanation()));
    }

    #[test]
    fn a_shell_takes_every_word_as_it_is() {
        let words = [("pipe:1", "pipe:1"), ("", "''"), ("it's", r"'it'\''s'"), ("a b", "'a b'"), ("$x", "'$x'")];
        for (word, shell) in words {
            assert_eq!(quoted(word), shell);
        }
    }
}
