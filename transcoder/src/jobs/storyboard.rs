//! Preview tiles: the keyframes nearest to the wanted times, or other pictures where those don't do, decoded at the size of a
//! tile, laid into sheets.

use super::source::{Opened, pictures, video};
use super::{Failure, Task, generation};
use crate::jpeg::{JpegError, Sheet};
use crate::picture::{Picture, Size};
use crate::progress::Meter;
use bytes::Bytes;
use tokio::sync::mpsc;
use vidstream_media::index::MediaIndex;
use vidstream_media::presentation::Presentation;
use vidstream_media::storyboard::{Keyframe, NoStoryboard, Storyboard, keyframes_are_rare};
use vidstream_proto::pb;
use vidstream_source::names;

pub(super) async fn run(task: Task<'_>) -> Result<pb::StoryboardResult, Failure> {
    let opened = task.pictures(|index| &index.no_storyboard_reason).await?;
    let (plan, way) = planned(&opened.index)?;
    let keyframes: Vec<Keyframe> = plan.tiles.iter().map(|tile| tile.keyframe).collect();
    let meter = task.gauge.measure(to_float(keyframes.len() + plan.sheets())).covering(plan.duration);
    let tile = even(plan.tile_width, plan.tile_height)?;
    let timescale = video(&opened.index)?.0.timescale.get();
    let (sender, receiver) = pictures();
    tracing::trace!(name: "storyboard.begun", target: "point", "pictures are about to be decoded");
    let laid = lay(&plan, receiver, meter);
    let (ran, (sheets, mut meter)) = match way {
        Way::Keyframes => futures::try_join!(task.decode(&opened, &keyframes, tile, sender), laid)?,
        Way::All => {
            let Opened { index, reader, .. } = opened;
            let presentation = tokio::task::spawn_blocking(move || Presentation::new(index)).await?;
            futures::try_join!(task.decode_all(&presentation, reader, &keyframes, tile, sender), laid)?
        }
    };
    tracing::trace!(name: "storyboard.made", target: "point", "sheets are made and not stored");

    let mut result = pb::StoryboardResult {
        sheets: Vec::new(),
        tile_width: plan.tile_width,
        tile_height: plan.tile_height,
        columns: plan.columns,
        rows: plan.rows,
        timescale,
        times: keyframes.iter().map(|keyframe| keyframe.ticks).collect(),
        generation: String::new(),
        work: None,
    };
    result.generation = generation_of(&result, &sheets);
    // How long it took makes no other pictures.
    result.work = Some(ran.into());
    for (number, sheet) in sheets.into_iter().enumerate() {
        let name = names::sheet(task.lease.source.id, task.lease.job.fence, number);
        task.tools.objects.put(&name, vec![sheet]).await?;
        tracing::trace!(name: "storyboard.stored", target: "point", "a sheet is stored, which nobody knows");
        result.sheets.push(name.to_string());
        meter.done(to_float(keyframes.len() + number + 1));
    }
    Ok(result)
}

/// What is decoded for tiles.
enum Way {
    /// Keyframes, each alone.
    Keyframes,
    /// All pictures.
    All,
}

/// Which pictures become tiles. Those of all only where keyframes do not decode alone or leave long stretches without one: it
/// costs as much as an encode does of decoding.
fn planned(index: &MediaIndex) -> Result<(Storyboard, Way), NoStoryboard> {
    match Storyboard::plan(index) {
        Ok(plan) if !keyframes_are_rare(index) => Ok((plan, Way::Keyframes)),
        Ok(_) | Err(NoStoryboard::OpenGop) => Storyboard::of_all_pictures(index).map(|plan| (plan, Way::All)),
        Err(why) => Err(why),
    }
}

/// Lays pictures into sheets as they come. Each sheet is encoded once, when its last tile lies.
async fn lay<'a>(
    plan: &Storyboard,
    mut pictures: mpsc::Receiver<Picture>,
    mut meter: Meter<'a>,
) -> Result<(Vec<Bytes>, Meter<'a>), Failure> {
    let mut sheets = Vec::with_capacity(plan.sheets());
    for number in 0..plan.sheets() {
        let (width, height) = plan.sheet_size(number);
        let mut sheet = Sheet::new(even(width, height)?);
        for tile in plan.tiles_of(number) {
            // Where pictures end early, the decoder knows why.
            let Some(picture) = pictures.recv().await else { return Ok((sheets, meter)) };
            let place = plan.place(tile);
            sheet.lay(&picture, place.x as usize, place.y as usize);
            meter.done(to_float(tile + 1));
        }
        let jpeg: Result<_, JpegError> = tokio::task::spawn_blocking(move || sheet.encode()).await?;
        sheets.push(Bytes::from(jpeg?));
    }
    Ok((sheets, meter))
}

fn even(width: u32, height: u32) -> Result<Size, Failure> {
    let odd = || Failure::not_offered(format!("pictures of {width}×{height} can't be laid into sheets"));
    Size::new(width, height).ok_or_else(odd)
}

/// Of all that addresses lead to: the same pictures at the same times have the same.
fn generation_of(result: &pb::StoryboardResult, sheets: &[Bytes]) -> String {
    let shape = prost::Message::encode_to_vec(result);
    generation(std::iter::once(shape.as_slice()).chain(sheets.iter().map(|sheet| &sheet[..])))
}

#[expect(clippy::cast_precision_loss, reason = "a few hundred tiles")]
fn to_float(count: usize) -> f64 {
    count as f64
}
