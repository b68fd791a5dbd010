//! Videos and events as text for people: a table of many, a sheet of one, a line for what happens.

use crate::text::{self, clean};
use comfy_table::{Cell, CellAlignment, Table, presets};
use vidstream_proto::pb;
use vidstream_proto::pb::collect_garbage_response::Event as Garbage;
use vidstream_proto::pb::diagnose_response::Event as Diagnosis;
use vidstream_proto::pb::watch_videos_response::Event;

/// A table of videos. The title, which may be long, stands last; nothing is broken into lines, so ids can be copied.
pub fn table(videos: &[pb::Video]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["ID", "STATE", "LENGTH", "SIZE", "VIEWS", "CREATED", "TITLE"]);
    for video in videos {
        let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
        table.add_row([
            Cell::new(clean(&video.id)),
            Cell::new(text::state(video.state())),
            right(length(video)),
            right(video.upload.as_ref().map_or_else(|| "-".to_owned(), |upload| text::size(upload.size))),
            right(video.views.to_string()),
            Cell::new(text::instant(video.create_time.as_ref())),
            Cell::new(clean(&video.title)),
        ]);
    }
    lines(table)
}

fn lines(mut table: Table) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// A table of captions.
pub fn captions(captions: &[pb::Captions]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["ID", "LANGUAGE", "CUES", "SIZE", "FORCED", "LABEL"]);
    for one in captions {
        let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
        table.add_row([
            Cell::new(clean(&one.id)),
            Cell::new(clean(&one.language)),
            right(one.cues.to_string()),
            right(text::size(one.size)),
            Cell::new(if one.forced { "yes" } else { "no" }),
            Cell::new(clean(&one.label)),
        ]);
    }
    lines(table)
}

fn length(video: &pb::Video) -> String {
    let duration = video.media.as_ref().and_then(|media| text::duration(media.duration.as_ref()));
    duration.map_or_else(|| "-".to_owned(), text::media_time)
}

/// A video in one line.
pub fn line(video: &pb::Video) -> String {
    let what = match video.state() {
        pb::VideoState::Failed => format!("{}: {}", video.title, video.failure),
        _ if video.views > 0 => format!("{} ({})", video.title, text::views(video.views)),
        _ => video.title.clone(),
    };
    row(&video.id, text::state(video.state()), &what)
}

/// An event in one line; none where nothing happened.
pub fn event(event: &Event) -> Option<String> {
    Some(match event {
        Event::Changed(video) => line(video),
        Event::Purged(purged) => row(&purged.video_id, "purged", "its last trace is gone"),
        Event::Reset(_) => "some changes were missed: list the videos again".to_owned(),
        Event::Progress(progress) => row(&progress.video_id, text::stage(progress.stage()), &text::progress(progress)),
        Event::Current(_) => return None,
    })
}

/// An object that is garbage, or what a collection came to, in one line.
pub fn garbage(event: &Garbage) -> String {
    match event {
        Garbage::Found(found) => {
            let age = text::duration(found.age.as_ref()).unwrap_or_default();
            let (size, age) = (text::size(found.size), text::wait_time(age));
            format!("{size:>10}  {age:>7} old  {:<12}  {}", text::garbage_reason(found.reason()), clean(&found.name))
        }
        Garbage::Total(total) => {
            let done = if total.removed { "removed" } else { "would remove" };
            let size = text::size(total.garbage_bytes);
            let young = match total.young {
                0 => String::new(),
                young => format!("; {young} more may be garbage, but it is too early to tell"),
            };
            format!("{done} {} of {} objects, {size}{young}", total.garbage, total.seen)
        }
    }
}

/// Something that was found, with what to do below it; or what it all came to.
pub fn diagnosis(event: &Diagnosis) -> String {
    match event {
        Diagnosis::Found(found) => {
            let verdict = match found.verdict() {
                pb::Verdict::Fine => "fine",
                pb::Verdict::Doubtful => "doubtful",
                pb::Verdict::Wrong => "wrong",
                pb::Verdict::Unspecified => "unknown",
            };
            let (service, part) = (clean(&found.service), clean(&found.part));
            let mut text = format!("{verdict:<8}  {service:<10}  {part:<12}  {}\n", clean(&found.text));
            if !found.advice.is_empty() {
                text.extend(["          ", clean(&found.advice).as_str(), "\n"]);
            }
            text
        }
        Diagnosis::Total(pb::DiagnosisTotal { fine, doubtful, wrong }) => {
            format!("{fine} fine, {doubtful} doubtful, {wrong} wrong\n")
        }
    }
}

fn row(id: &str, what: &str, rest: &str) -> String {
    format!("{}  {what:<10}  {}", clean(id), clean(rest))
}

/// Everything about one video, a line a fact.
pub fn sheet(video: &pb::Video) -> String {
    let mut sheet = Sheet::default();
    sheet.fact("title", &video.title);
    sheet.fact("id", &video.id);
    sheet.fact("state", text::state(video.state()));
    sheet.fact("failure", &video.failure);
    for warning in &video.warnings {
        sheet.fact("warning", format!("{} ({})", warning.message, warning.code));
    }
    sheet.fact("description", &video.description);
    sheet.fact("tags", video.tags.join(", "));
    if let Some(media) = &video.media {
        media_facts(&mut sheet, media);
    }
    for captions in &video.captions {
        sheet.fact("captions", caption_words(captions));
    }
    sheet.fact("playback", text::part(video.source_rendition.as_ref()));
    if let Some(encoded) = video.encoded.as_ref() {
        sheet.fact("encoded", text::part(Some(encoded)));
    }
    sheet.fact("storyboard", text::part(video.storyboard.as_ref()));
    sheet.fact("poster", text::part(video.poster.as_ref()));
    sheet.fact("views", video.views.to_string());
    sheet.fact("file", &video.file_name);
    if let Some(upload) = &video.upload {
        upload_facts(&mut sheet, upload);
    }
    sheet.fact("created", text::instant(video.create_time.as_ref()));
    sheet.fact("changed", text::instant(video.update_time.as_ref()));
    for (name, time) in [("removed", &video.remove_time), ("purged after", &video.purge_time)] {
        if time.is_some() {
            sheet.fact(name, text::instant(time.as_ref()));
        }
    }
    sheet.fact("revision", video.revision.to_string());
    sheet.0
}

fn caption_words(captions: &pb::Captions) -> String {
    let mut words = vec![captions.language.clone(), captions.label.clone(), text::cues(captions.cues)];
    words.dedup();
    if captions.forced {
        words.push("forced".to_owned());
    }
    words.join(", ")
}

fn media_facts(sheet: &mut Sheet, media: &pb::Media) {
    sheet.fact("container", &media.container);
    sheet.fact("length", text::duration(media.duration.as_ref()).map(text::media_time).unwrap_or_default());
    for track in &media.tracks {
        match track.kind() {
            pb::TrackKind::Audio => sheet.fact("sound", sound(track)),
            pb::TrackKind::Video | pb::TrackKind::Unspecified => sheet.fact("pictures", pictures(track)),
        }
    }
    for ignored in &media.ignored {
        sheet.fact("ignored", format!("track {} ({}): {}", ignored.id, ignored.what, ignored.reason));
    }
    let players = media.plays_in().filter_map(|player| match player {
        pb::Player::Unspecified => None,
        pb::Player::Mse => Some("browsers (MSE)"),
        pb::Player::Progressive => Some("the video element"),
        pb::Player::Avplayer => Some("AVPlayer"),
    });
    sheet.fact("plays in", players.collect::<Vec<_>>().join(", "));
}

fn pictures(track: &pb::MediaTrack) -> String {
    let mut words = vec![track.codec.clone(), format!("{}x{}", track.width, track.height)];
    if track.frame_rate > 0.0 {
        words.push(format!("{} fps", (track.frame_rate * 1000.0).round() / 1000.0));
    }
    if track.rotation_degrees > 0 {
        words.push(format!("turned by {} degrees", track.rotation_degrees));
    }
    named(words, track)
}

fn sound(track: &pb::MediaTrack) -> String {
    let channels = match track.channels {
        1 => "mono".to_owned(),
        2 => "stereo".to_owned(),
        channels => format!("{channels} channels"),
    };
    named(vec![track.codec.clone(), format!("{} Hz", track.sample_rate), channels], track)
}

fn named(mut words: Vec<String>, track: &pb::MediaTrack) -> String {
    if track.bit_rate > 0 {
        words.push(text::bit_rate(track.bit_rate));
    }
    words.extend([&track.language, &track.name].into_iter().filter(|word| !word.is_empty()).cloned());
    words.join(", ")
}

fn upload_facts(sheet: &mut Sheet, upload: &pb::UploadPart) {
    sheet.fact("size", format!("{} ({} bytes)", text::size(upload.size), upload.size));
    let state = match upload.state() {
        pb::UploadState::Unspecified => "unknown".to_owned(),
        pb::UploadState::Open => format!("{} of {} received", text::size(upload.received), text::size(upload.size)),
        pb::UploadState::Complete => "complete".to_owned(),
        pb::UploadState::Expired => "expired".to_owned(),
    };
    sheet.fact("upload", state);
    sheet.fact("upload failed", &upload.reason);
    sheet.fact("blake3", text::hex(&upload.blake3));
}

/// Facts, one a line, their names in one column.
#[derive(Default)]
struct Sheet(String);

impl Sheet {
    /// Adds a fact; further lines of its value stand below the first. Nothing is said of an empty value.
    fn fact(&mut self, name: &str, value: impl AsRef<str>) {
        for (number, line) in value.as_ref().lines().enumerate() {
            let name = if number == 0 { name } else { "" };
            let line = format!("{name:<14}{}", clean(line));
            self.0 += line.trim_end();
            self.0.push('\n');
        }
    }
}

#[cfg(test)]
#[path = "render_tests.rs"]
mod tests;
