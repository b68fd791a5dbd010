//! What of a video players are offered: the renditions of its source's index, and encoded tracks beside or instead of them.

use super::Playback;
use super::cache::Generation;
use super::presentations::{Opened, Presentations};
use super::view::View;
use std::sync::Arc;
use vidstream_media::plan::PACKAGER_VERSION;
use vidstream_media::presentation::{Offered, Placed, Rendition};
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::{SourceId, VideoId};
use vidstream_proto::pb;
use vidstream_source::made::MadeFile;

/// A rendition that is offered: an index, and the file that it is of.
#[derive(Clone, Debug)]
pub struct Indexed {
    /// Its version.
    pub generation: Generation,
    /// Where its index is stored.
    pub object: String,
    /// Where the bytes lie that it points into; none: in the source's own file.
    pub file: Option<MadeFile>,
}

/// All that is offered of a video.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The view that showed it.
    pub view: Arc<View>,
    /// What its source is.
    pub source: Indexed,
    /// Encoded tracks, by the names of those that they were made of.
    pub encoded: Vec<(String, Indexed)>,
    /// Tracks of the source that are not offered as they are.
    left_out: Vec<String>,
}

/// The opened indexes of a choice.
pub struct Open {
    source: Arc<Opened>,
    source_base: String,
    encoded: Vec<(Arc<Opened>, String)>,
}

impl Indexed {
    fn new(source: SourceId, generation: &str, object: &str, file: Option<&pb::MadeFile>) -> Result<Self, Problem> {
        let senseless =
            |problem: Problem| Problem::new(Reason::Internal, format!("a result makes no sense: {problem}"));
        Ok(Self {
            // Files are made here, whoever planned them first: another packager's files have other addresses.
            generation: Generation::new(source, &format!("{generation}-{PACKAGER_VERSION}")),
            object: object.to_owned(),
            file: file.map(MadeFile::try_from).transpose().map_err(senseless)?,
        })
    }

    /// What is put before names of tracks in the addresses of its files.
    fn base(&self) -> String {
        format!("g/{}/", self.generation.hash())
    }
}

impl Choice {
    fn of(view: &Arc<View>) -> Result<Self, Problem> {
        let (source, index) = (&view.source, view.segmented()?);
        let encoded = source.encoded.iter().filter_map(|track| Some((track, track.made()?)));
        let encoded = encoded.map(|(track, made)| {
            let indexed = Indexed::new(source.id, &made.generation, &made.object, made.file.as_ref())?;
            Ok((track.track.clone(), indexed))
        });
        let left_out = source.encoded.iter().filter(|track| !track.leaves_source());
        Ok(Self {
            view: Arc::clone(view),
            source: Indexed::new(source.id, &index.generation, &index.object, index.file.as_ref())?,
            encoded: encoded.collect::<Result<_, Problem>>()?,
            left_out: left_out.map(|track| track.track.clone()).collect(),
        })
    }

    /// Stands for all of it.
    pub fn generation(&self) -> Generation {
        if self.encoded.is_empty() {
            return self.source.generation.clone();
        }
        let mut hash = blake3::Hasher::new();
        for indexed in self.all() {
            hash.update(indexed.generation.hash().as_bytes()).update(b"/");
        }
        let left_out = self.left_out.join("/");
        let hash = hash.update(left_out.as_bytes()).finalize().to_hex();
        Generation::new(self.view.source.id, &hash[..16])
    }

    /// Every rendition, that of the source first.
    pub fn all(&self) -> impl Iterator<Item = &Indexed> {
        std::iter::once(&self.source).chain(self.encoded.iter().map(|(_, indexed)| indexed))
    }

    /// Opens every index.
    pub async fn open(&self, presentations: &Presentations) -> Result<Open, Problem> {
        let open = async |indexed: &Indexed| {
            let opened = presentations.opened(&indexed.generation, &indexed.object).await?;
            Ok::<_, Problem>((opened, indexed.base()))
        };
        let (source, source_base) = open(&self.source).await?;
        let mut encoded = Vec::with_capacity(self.encoded.len());
        for (_, indexed) in &self.encoded {
            encoded.push(open(indexed).await?);
        }
        Ok(Open { source, source_base, encoded })
    }

    /// What players may choose from: what plays everywhere first.
    pub fn offered<'a>(&self, open: &'a Open) -> Offered<'a> {
        let presentation = &open.source.presentation;
        let mut offered = Offered { duration: presentation.index().duration, ..Offered::default() };
        let encoded = open.encoded.iter().flat_map(|(opened, base)| {
            opened.presentation.renditions().map(move |rendition| Placed { rendition, base })
        });
        let left_out = |rendition: &Rendition| self.left_out.contains(&rendition.name.to_string());
        let own = presentation.renditions().filter(|rendition| !left_out(rendition));
        let own = own.map(|rendition| Placed { rendition, base: &open.source_base });
        for placed in encoded.chain(own) {
            let kind = match placed.rendition.video_format() {
                Some(_) => &mut offered.pictures,
                None => &mut offered.sounds,
            };
            kind.push(placed);
        }
        offered
    }
}

impl Playback {
    /// What is offered of video `id`.
    pub(super) async fn choice(&self, id: VideoId) -> Result<Choice, Problem> {
        self.views.read(id, Choice::of).await
    }
}
