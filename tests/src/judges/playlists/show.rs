//! All files of one video as players fetch them, and what is in them.

use super::m3u8::{Entry, Playlist};
use super::track::{Fragment, Init};
use crate::judges::curl;
use std::collections::BTreeMap;
use std::time::Duration;

/// An answer to a player.
#[derive(Clone, Debug)]
pub struct File {
    /// Status code.
    pub status: u16,
    /// `Content-Type`.
    pub kind: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Files by their addresses, relative to the folder of `master.m3u8`.
#[derive(Clone, Default, Debug)]
pub struct Files(pub BTreeMap<String, File>);

/// The files, read.
#[derive(Debug)]
pub struct Show {
    /// What it was read from.
    pub files: Files,
    /// `master.m3u8`.
    pub master: Playlist,
    /// Media playlists of pictures and sound, each once, in the master's order.
    pub renditions: Vec<Rendition>,
    /// Media playlists of captions, by their addresses.
    pub texts: Vec<(String, Playlist)>,
}

/// A media playlist and what it names.
#[derive(Debug)]
pub struct Rendition {
    /// Its address.
    pub uri: String,
    /// The playlist.
    pub playlist: Playlist,
    /// What `EXT-X-MAP` names.
    pub init: Result<Init, String>,
    /// Its segments.
    pub segments: Vec<Segment>,
}

/// A segment.
#[derive(Debug)]
pub struct Segment {
    /// Its address.
    pub uri: String,
    /// What the playlist says of it.
    pub entry: Entry,
    /// What is in it.
    pub fragment: Result<Fragment, String>,
}

impl Files {
    /// Fetches what the playlists below `base` name, and the manifest.
    pub fn fetch(base: &str) -> Self {
        let mut files = Self::default();
        files.get(base, "master.m3u8");
        files.get(base, "manifest.mpd");
        for uri in playlists(&files.playlist("master.m3u8")) {
            files.get(base, &uri);
            let playlist = files.playlist(&uri);
            let named = playlist.map().into_iter().chain(playlist.entries().into_iter().map(|entry| entry.uri));
            for name in named {
                files.get(base, &beside(&uri, &name));
            }
        }
        files
    }

    fn get(&mut self, base: &str, uri: &str) {
        let answer = curl::get(&format!("{base}/{uri}"));
        let file = File { status: answer.status, kind: answer.header("content-type").to_owned(), bytes: answer.body };
        self.0.insert(uri.to_owned(), file);
    }

    fn playlist(&self, uri: &str) -> Playlist {
        Playlist::read(&String::from_utf8_lossy(self.bytes(uri)))
    }

    /// The bytes of `uri`; none where it was not answered.
    pub fn bytes(&self, uri: &str) -> &[u8] {
        self.0.get(uri).map_or(&[], |file| &file.bytes)
    }

    /// The manifest's text.
    pub fn manifest(&self) -> String {
        String::from_utf8_lossy(self.bytes("manifest.mpd")).into_owned()
    }
}

/// The addresses of media playlists, each once.
fn playlists(master: &Playlist) -> Vec<String> {
    let variants = master.variants().into_iter().filter_map(|(_, uri)| uri);
    let media = master.media().into_iter().filter_map(|media| media.quoted("URI"));
    let mut all = Vec::new();
    for uri in variants.chain(media) {
        if !all.contains(&uri) {
            all.push(uri);
        }
    }
    all
}

/// The address `name` as it stands in the file at `uri`.
pub fn beside(uri: &str, name: &str) -> String {
    uri.rsplit_once('/').map_or_else(|| name.to_owned(), |(folder, _)| format!("{folder}/{name}"))
}

impl Show {
    /// Reads `files`.
    pub fn read(files: Files) -> Self {
        let master = files.playlist("master.m3u8");
        let texts = master.media().into_iter().filter(|media| media.get("TYPE") == Some("SUBTITLES"));
        let texts: Vec<_> = texts.filter_map(|media| media.quoted("URI")).collect();
        let renditions = playlists(&master).into_iter().filter(|uri| !texts.contains(uri));
        let renditions = renditions.map(|uri| Rendition::read(&files, uri)).collect();
        let texts = texts.into_iter().map(|uri| (uri.clone(), files.playlist(&uri))).collect();
        Self { files, master, renditions, texts }
    }

    /// All playlists by their addresses, the multivariant one first.
    pub fn playlists(&self) -> impl Iterator<Item = (&str, &Playlist)> {
        let media = self.renditions.iter().map(|rendition| (rendition.uri.as_str(), &rendition.playlist));
        let texts = self.texts.iter().map(|(uri, playlist)| (uri.as_str(), playlist));
        std::iter::once(("master.m3u8", &self.master)).chain(media).chain(texts)
    }

    /// The rendition whose playlist is at `uri`.
    pub fn rendition(&self, uri: &str) -> Option<&Rendition> {
        self.renditions.iter().find(|rendition| rendition.uri == uri)
    }

    /// Renditions with an init segment that could be read.
    pub fn tracks(&self) -> impl Iterator<Item = (&Rendition, &Init)> {
        self.renditions.iter().filter_map(|rendition| Some((rendition, rendition.init.as_ref().ok()?)))
    }

    /// Renditions whose init segment and all fragments could be read.
    pub fn whole(&self) -> impl Iterator<Item = (&Rendition, &Init, Vec<&Fragment>)> {
        self.tracks().filter_map(|(rendition, init)| {
            let fragments: Result<Vec<_>, _> = rendition.segments.iter().map(|one| one.fragment.as_ref()).collect();
            Some((rendition, init, fragments.ok()?))
        })
    }
}

impl Rendition {
    fn read(files: &Files, uri: String) -> Self {
        let playlist = files.playlist(&uri);
        let map = playlist.map().ok_or_else(|| "no EXT-X-MAP".to_owned());
        let init = map.and_then(|name| Init::read(files.bytes(&beside(&uri, &name))));
        let defaults = init.as_ref().map_or((0, 0, 0), |init| init.defaults);
        let segment = |entry: Entry| {
            let uri = beside(&uri, &entry.uri);
            let fragment = Fragment::read(files.bytes(&uri), defaults);
            Segment { uri, entry, fragment }
        };
        let segments = playlist.entries().into_iter().map(segment).collect();
        Self { uri, playlist, init, segments }
    }

    /// Sums of `EXTINF` at the start of each segment and at the end.
    pub fn starts(&self) -> Vec<Duration> {
        let sum = |sum: &mut Duration, one: Option<Duration>| {
            *sum += one.unwrap_or_default();
            Some(*sum)
        };
        let sums = self.segments.iter().map(|segment| segment.entry.duration).scan(Duration::ZERO, sum);
        std::iter::once(Duration::ZERO).chain(sums).collect()
    }
}
