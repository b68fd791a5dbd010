//! What an older version stored is not read any more: it is made anew, without anybody's doing.

use prost::Message as _;
use std::path::Path;
use std::time::{Duration, Instant};
use vidstream_proto::pb;
use vidstream_tests::clips;
use vidstream_tests::judges::{curl, ffmpeg};
use vidstream_tests::server::Server;
use vidstream_tests::vidctl::{Person, id};

/// Makes the index of the only source one of the first form, as the first version left it: its row says so, and its object.
fn age(data: &Path) {
    let catalog = rusqlite::Connection::open(data.join("catalog.sqlite3")).expect("the catalog");
    let row: Vec<u8> = catalog.query_row("SELECT row FROM source", [], |row| row.get(0)).expect("one source");
    let mut source = pb::Source::decode(&row[..]).expect("a source");
    let index = source.index_result.as_mut().expect("it was indexed");
    let object = data.join("objects").join(&index.object);
    index.format = 1;
    catalog.execute("UPDATE source SET row = ?, format = 1", [source.encode_to_vec()]).expect("written");
    let mut stored = std::fs::read(&object).expect("the index");
    // Its kind in four bytes, then its version.
    stored[4] = 1;
    std::fs::write(&object, stored).expect("written");
}

#[test]
fn an_index_in_an_older_form_is_made_anew_in_the_background() {
    let server = Server::start();
    let clip = clips::clip("last.mp4");
    let video = Person::of(&server).upload(&clip, "--wait=all");
    let master = |server: &Server| format!("{}/videos/{}/master.m3u8", server.address, id(&video));
    let before = curl::get(&master(&server));
    assert_eq!(before.status, 200);
    let data = server.ended();
    age(&data.path().join("data"));

    let server = Server::on(data, &[]);
    let address = master(&server);
    let begun = Instant::now();
    let after = loop {
        let answer = curl::get(&address);
        match answer.status {
            200 => break answer,
            503 => assert!(!answer.header("retry-after").is_empty(), "it says when to ask again"),
            other => panic!("{other}: {}", String::from_utf8_lossy(&answer.body)),
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "it is never made anew");
        std::thread::sleep(Duration::from_millis(20));
    };
    // It is read again, and as it says the same of the file, what caches hold stays good.
    assert_eq!(after.body, before.body);
    assert_eq!(ffmpeg::frames(&address, "v:0"), ffmpeg::frames(clip.to_str().expect("text"), "v:0"));
    let now = Person::of(&server).get(id(&video));
    assert_eq!(now["state"], "VIDEO_STATE_READY", "{now:#}");
    assert_eq!((&now["storyboard"], &now["poster"]), (&video["storyboard"], &video["poster"]), "pictures stay");
}
