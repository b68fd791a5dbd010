//! `storyboard.vtt`, `storyboard.json` and the sheets they name.

use super::cache::{File, Generation, name};
use super::made::Made;
use super::representation::Caching;
use super::view::View;
use super::{At, PICTURE, Playback, nothing_here, video};
use crate::http::problem::HttpProblem;
use axum::extract::State;
use axum::response::Response;
use http::request::Parts;
use std::sync::Arc;
use vidstream_media::manifest::vtt;
use vidstream_media::storyboard::Storyboard;
use vidstream_media::time::Timescale;
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::VideoId;
use vidstream_proto::time::std_duration;

/// `GET /videos/{id}/storyboard.vtt`
pub async fn vtt(
    State(playback): State<Playback>,
    At(id): At<String>,
    request: Parts,
) -> Result<Response, HttpProblem> {
    playback
        .storyboard(video(&id)?, &request, File::StoryboardVtt, "text/vtt", |board, sheet| vtt::vtt(board, sheet))
        .await
}

/// `GET /videos/{id}/storyboard.json`
pub async fn json(
    State(playback): State<Playback>,
    At(id): At<String>,
    request: Parts,
) -> Result<Response, HttpProblem> {
    playback
        .storyboard(video(&id)?, &request, File::StoryboardJson, "application/json", |board, sheet| {
            vtt::json(board, sheet)
        })
        .await
}

/// `GET /videos/{id}/storyboard/{generation}/{sheet}.jpg`
pub async fn sheet(
    State(playback): State<Playback>,
    At((id, generation, file)): At<(String, String, String)>,
    request: Parts,
) -> Result<Response, HttpProblem> {
    let number = sheet_number(&file).ok_or_else(nothing_here)?;
    let found = playback.views.read(video(&id)?, |view| {
        let made = view.storyboard()?;
        let object = made.sheets.get(number).filter(|_| made.generation == generation).ok_or_else(nothing_here)?;
        Ok((object.clone(), Generation::new(view.source.id, &made.generation)))
    });
    let (object, generation) = found.await?;
    playback.send_object(&name(&object)?, &generation, PICTURE, Caching::Immutable, &request).await
}

impl Playback {
    async fn storyboard(
        &self,
        id: VideoId,
        request: &Parts,
        file: File,
        content_type: &'static str,
        write: fn(&Storyboard, &dyn Fn(usize) -> String) -> String,
    ) -> Result<Response, HttpProblem> {
        let found = self
            .views
            .read(id, |view| Ok((Arc::clone(view), Generation::new(view.source.id, &view.storyboard()?.generation))));
        let (view, generation) = found.await?;
        let making = async {
            let base = format!("storyboard/{}", generation.hash());
            Ok(Made::text(write(&tiles(&view)?, &|sheet| format!("{base}/{sheet}.jpg"))))
        };
        let made = self.cache.file(&generation, file, making).await?;
        self.send(&view, &made, content_type, Caching::Checked, request).await
    }
}

/// The storyboard as its job made it.
fn tiles(view: &View) -> Result<Storyboard, Problem> {
    let made = view.storyboard()?;
    let senseless = || Problem::new(Reason::Internal, "the storyboard's result makes no sense");
    let duration = view.index()?.media.as_ref().and_then(|media| media.duration.as_ref()).ok_or_else(senseless)?;
    let duration = std_duration("duration", duration).map_err(|_| senseless())?;
    let timescale = Timescale::new(made.timescale).ok_or_else(senseless)?;
    let (tile, grid) = ((made.tile_width, made.tile_height), (made.columns, made.rows));
    let storyboard = Storyboard::of_pictures(duration, tile, grid, timescale, &made.times);
    storyboard.filter(|storyboard| storyboard.sheets() == made.sheets.len()).ok_or_else(senseless)
}

/// The number in a sheet's file name, written as it is in addresses.
fn sheet_number(file: &str) -> Option<usize> {
    let number: usize = file.strip_suffix(".jpg")?.parse().ok()?;
    (format!("{number}.jpg") == file).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_as_written_are_sheets() {
        assert_eq!(sheet_number("0.jpg"), Some(0));
        assert_eq!(sheet_number("12.jpg"), Some(12));
        for file in ["00.jpg", "+1.jpg", "-1.jpg", ".jpg", "1.png", "1.jpg.jpg", "1", "99999999999999999999999.jpg"] {
            assert_eq!(sheet_number(file), None, "{file}");
        }
    }
}
