//! What of a video players are offered: the renditions of its source's index, and encoded tracks beside or instead of them.

use super::Playback;
use super::cache::Generation;
use super::presentations::{Opened, Presentations};
use super::view::View;
use std::sync::Arc;
use std::time::Duration;
use vidstream_media::plan::PACKAGER_VERSION;
use vidstream_media::presentation::{Offered, Placed, Rates, Rendition};
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::{SourceId, VideoId};
use vidstream_proto::pb;
use vidstream_proto::segments::EncodedSegments;
use vidstream_source::made::MadeFile;

/// Bits a second that encoded pictures have at the most over a segment: what the encoder may write, and what it may hold back.
const MOST: u64 = 16_000_000;

/// A rendition that is offered: an index, and the file that it is of.
#[derive(Clone, Debug)]
pub struct Indexed {
    /// Its version.
    pub generation: Generation,
    /// Where its index is stored.
    pub object: String,
    /// Where the bytes lie that it points into; none: in the source's own file.
    pub file: Option<MadeFile>,
    /// Of pictures that are encoded, which segments are there: each is an object of its own.
    pub segments: Option<EncodedSegments>,
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
    encoded: Vec<(Arc<Opened>, String, Option<Rates>)>,
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
            segments: None,
        })
    }

    /// Pictures that are encoded segment by segment. All are offered, whether they are there or not.
    fn encoded(source: SourceId, segments: &EncodedSegments) -> Self {
        let mut hash = blake3::Hasher::new();
        hash.update(segments.plan.as_bytes()).update(&segments.configuration).update(&PACKAGER_VERSION.to_be_bytes());
        let hash = hash.finalize().to_hex();
        Self {
            generation: Generation::new(source, &hash[..16]),
            object: segments.object.clone(),
            file: None,
            segments: Some(segments.clone()),
        }
    }

    /// Its index, opened.
    pub async fn open(&self, presentations: &Presentations) -> Result<Arc<Opened>, Problem> {
        let configuration = self.segments.as_ref().map(|segments| segments.configuration.as_slice());
        presentations.opened(&self.generation, &self.object, configuration).await
    }

    /// Bits a second of segments that are encoded one by one: true when all are there, before that more than they are likely
    /// to have, in steps so that manifests seldom change.
    fn rates(&self, duration: Duration) -> Option<Rates> {
        let segments = self.segments.as_ref()?;
        if !segments.is_whole() {
            let peak = segments.peak.saturating_mul(2).min(MOST).checked_next_power_of_two().unwrap_or(MOST);
            return Some(Rates { peak, average: peak / 2 });
        }
        let millis = duration.as_millis().max(1);
        // A picture that stays for hours has less than a bit a second, which players do not take.
        let average = u64::try_from(u128::from(segments.bytes) * 8000 / millis).unwrap_or(u64::MAX).max(1);
        Some(Rates { peak: segments.peak.max(average), average })
    }

    /// What is put before names of tracks in the addresses of its files.
    fn base(&self) -> String {
        format!("g/{}/", self.generation.hash())
    }
}

impl Choice {
    pub(super) fn of(view: &Arc<View>) -> Result<Self, Problem> {
        let (source, index) = (&view.source, view.segmented()?);
        let encoded = source.encoded.iter().filter_map(|track| {
            let indexed = match (track.playable(), track.made()) {
                (Some(segments), _) => Ok(Indexed::encoded(source.id, segments)),
                (None, Some(made)) => Indexed::new(source.id, &made.generation, &made.object, made.file.as_ref()),
                (None, None) => return None,
            };
            Some(indexed.map(|indexed| (track.track.clone(), indexed)))
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
            let rates = indexed.rates(Duration::ZERO).unwrap_or_default();
            hash.update(&rates.peak.to_be_bytes()).update(&rates.average.to_be_bytes());
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
        let open = async |indexed: &Indexed| Ok::<_, Problem>((indexed.open(presentations).await?, indexed.base()));
        let (source, source_base) = open(&self.source).await?;
        let mut encoded = Vec::with_capacity(self.encoded.len());
        for (_, indexed) in &self.encoded {
            let (opened, base) = open(indexed).await?;
            let rates = indexed.rates(opened.presentation.index().duration);
            encoded.push((opened, base, rates));
        }
        Ok(Open { source, source_base, encoded })
    }

    /// What players may choose from: what plays everywhere first.
    pub fn offered<'a>(&self, open: &'a Open) -> Offered<'a> {
        let presentation = &open.source.presentation;
        let mut offered = Offered { duration: presentation.index().duration, ..Offered::default() };
        let encoded = open.encoded.iter().flat_map(|(opened, base, rates)| {
            opened.presentation.renditions().map(move |rendition| Placed { rendition, base, rates: *rates })
        });
        let left_out = |rendition: &Rendition| self.left_out.contains(&rendition.name.to_string());
        let own = presentation.renditions().filter(|rendition| !left_out(rendition));
        let own = own.map(|rendition| Placed { rendition, base: &open.source_base, rates: None });
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
