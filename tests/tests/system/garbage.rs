//! `vidctl admin gc` on a whole server: what nothing refers to goes, everything that plays still plays, and what belongs to
//! another catalog stays.

use crate::deletion::files;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};
use vidstream_tests::clips;
use vidstream_tests::judges::{curl, ffmpeg};
use vidstream_tests::server::Server;
use vidstream_tests::vidctl::{Person, id};

fn plant(objects: &Path, name: &str, age: Duration) {
    let path = objects.join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    fs::write(&path, "garbage").expect("written");
    let file = File::options().write(true).open(&path).expect("opened");
    file.set_modified(SystemTime::now() - age).expect("dated");
}

/// Makes every object of the server a day old.
fn age_all(folder: &Path) {
    for entry in folder.read_dir().expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            age_all(&entry);
        } else {
            let file = File::options().write(true).open(&entry).expect("opened");
            file.set_modified(SystemTime::now() - Duration::from_hours(24)).expect("dated");
        }
    }
}

fn found(events: &[Value]) -> BTreeSet<&str> {
    events.iter().filter_map(|event| event["found"]["name"].as_str()).collect()
}

fn assert_plays(server: &Server, video: &str, file: &Path) {
    let address = format!("{}/videos/{video}", server.address);
    let pictures =
        |input: &str| -> Vec<String> { ffmpeg::frames(input, "v:0").into_iter().map(|frame| frame.hash).collect() };
    assert_eq!(pictures(&format!("{address}/master.m3u8")), pictures(file.to_str().expect("text")));
    assert!(curl::get(&format!("{address}/source")).body == fs::read(file).expect("the clip"));
    assert_eq!(curl::get(&format!("{address}/poster.jpg")).status, 200);
    let board = curl::get(&format!("{address}/storyboard.json")).json();
    let sheet = board["sheets"][0].as_str().expect("a sheet");
    assert_eq!(curl::get(&format!("{address}/{sheet}")).status, 200);
}

#[test]
fn garbage_goes_and_what_plays_still_plays() {
    let server = Server::with(&["--write-deadline", "0s"]);
    let person = Person::of(&server);
    let file = clips::clip("last.mp4");
    let video = person.upload(&file, "--wait=all");
    let objects = server.data().join("objects");
    age_all(&objects.join("sources"));
    let (code, out, errors) = person.run(&["admin", "gc", "--dry-run"]);
    assert_eq!((code, errors.as_str()), (0, ""));
    assert!(out.starts_with("would remove 0 of "), "nothing is garbage: {out}");

    let source = objects.join("sources").read_dir().expect("sources").next().expect("one").expect("readable");
    let source = format!("sources/{}", source.file_name().to_str().expect("an id"));
    let planted = [
        "sources/0197a000-0000-7000-8000-000000000001/bytes/0/00000000000-7-x".to_owned(),
        format!("{source}/bytes/0/00000000000-7-x"),
        format!("{source}/strange/1/x"),
    ];
    for name in &planted {
        plant(&objects, name, Duration::from_hours(1));
    }
    plant(&objects, &format!("{source}/bytes/0/00000000000-8-y"), Duration::from_secs(1));
    plant(&objects, "of-somebody-else/x", Duration::from_hours(1));
    let expected: BTreeSet<&str> = planted.iter().map(String::as_str).collect();

    let events = person.json(&["admin", "gc", "--dry-run"]);
    assert_eq!(found(&events), expected);
    let total = &events.last().expect("a total")["total"];
    assert_eq!((&total["garbage"], &total["young"], &total["removed"]), (&"3".into(), &"1".into(), &false.into()));
    assert!(planted.iter().all(|name| objects.join(name).is_file()), "a dry run changes nothing");
    assert_eq!(found(&person.json(&["admin", "gc"])), expected);
    assert!(planted.iter().all(|name| !objects.join(name).exists()));
    assert!(objects.join(format!("{source}/bytes/0/00000000000-8-y")).is_file());
    assert!(objects.join("of-somebody-else/x").is_file());
    assert_plays(&server, id(&video), &file);
    // Also after a restart, without anything in memory.
    let server = server.kill_and_restart(&[]);
    assert_plays(&server, id(&video), &file);
}

#[test]
fn objects_of_another_catalog_are_left_alone() {
    let server = Server::with(&["--write-deadline", "0s"]);
    let person = Person::of(&server);
    let file = clips::clip("last.mp4");
    let video = person.upload(&file, "--wait=all");
    let objects = server.data().join("objects/sources");
    age_all(&objects);
    let all = files(&objects);
    // A typing mistake.
    let wrong = format!("sqlite:{}", server.data().join("catalogue.db").display());
    let server = server.kill_and_restart(&["--write-deadline", "0s", "--catalog", &wrong]);
    let person = Person::of(&server);
    for refused in [["admin", "gc"].as_slice(), &["admin", "gc", "--dry-run"]] {
        let (code, out, errors) = person.run(refused);
        assert_eq!((code, out.as_str()), (1, ""), "{errors}");
        assert!(errors.contains("another catalog") && errors.contains("--adopt"), "{errors}");
    }
    assert_eq!(files(&objects), all);
    let (code, out, _) = person.run(&["doctor"]);
    assert!(code == 1 && out.contains("owner of objects"), "{out}");
    assert!(server.log().contains("another catalog"), "the log says so, too");
    let would: Vec<Value> = person.json(&["admin", "gc", "--dry-run", "--adopt"]);
    assert_eq!((found(&would).len(), files(&objects)), (all, all));

    let server = server.kill_and_restart(&["--write-deadline", "0s"]);
    assert_plays(&server, id(&video), &file);
    assert_eq!(found(&Person::of(&server).json(&["admin", "gc"])), BTreeSet::new());
    // The database is lost.
    let data = server.ended();
    for name in ["catalog.sqlite3", "catalog.sqlite3-wal", "catalog.sqlite3-shm"] {
        drop(fs::remove_file(data.path().join("data").join(name)));
    }
    let server = Server::on(data, &["--write-deadline", "0s"]);
    let person = Person::of(&server);
    assert_eq!(person.run(&["admin", "gc"]).0, 1);
    assert_eq!(found(&person.json(&["admin", "gc", "--adopt"])).len(), all);
    assert_eq!(files(&objects), 0);
}
