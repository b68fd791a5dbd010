//! `play`: where a video plays, and a player for it.

use super::{Context, restorable, video_id};
use crate::connect::{answer, unary};
use crate::errors::{CallError, Failure};
use crate::printer;
use crate::settings::Server;
use std::path::PathBuf;
use std::process::Stdio;
use tokio::process::Command;
use vidstream_proto::error::Exit;
use vidstream_proto::ids::VideoId;
use vidstream_proto::pb;

/// Players that take an address, the best first.
const PLAYERS: [&str; 3] = ["mpv", "ffplay", "vlc"];

pub async fn run(context: &Context, id: &str) -> Result<Exit, Failure> {
    let id = video_id(id)?;
    let request = pb::GetPlaybackRequest { video_id: id.to_string() };
    let playback = match answer(context.gateway.videos.clone().get_playback(unary(request)).await) {
        Ok(answered) => answered.playback.unwrap_or_default(),
        Err(error) => return Err(untold(context, id, error).await),
    };
    let playback = with_server(playback, &context.gateway.server);
    let address = match (playback.hls.as_str(), playback.source.as_str()) {
        ("", "") => return Err(Failure::failed("the server offers no address for this video")),
        ("", source) => {
            printer::note("it is not offered as HLS; this is the file itself");
            source
        }
        (hls, _) => hls,
    };
    context.printer.playback(&playback, address)?;
    let Some(player) = installed() else {
        printer::note(&format!("none of {} is installed; open the address in a player", PLAYERS.join(", ")));
        return Ok(Exit::Done);
    };
    start(&player, address).await?;
    Ok(Exit::Done)
}

/// Why there is no address; a removed video can be brought back, and that is said.
async fn untold(context: &Context, id: VideoId, error: CallError) -> Failure {
    let gone = error.is_not_found();
    let told = context.gateway.told(error);
    match context.gateway.video(id).await {
        Ok(video) if gone && video.state() == pb::VideoState::Removed => match restorable(&video) {
            Some(hint) => told.hint(hint),
            None => told,
        },
        _ => told,
    }
}

/// The addresses as others can use them: those that the server answered are paths on it.
fn with_server(mut playback: pb::Playback, server: &Server) -> pb::Playback {
    let pb::Playback { hls, dash, source, storyboard_vtt, storyboard_json, poster } = &mut playback;
    for path in [hls, dash, source, storyboard_vtt, storyboard_json, poster] {
        if path.starts_with('/') {
            *path = server.url(path);
        }
    }
    playback
}

/// Runs a player until it ends. The address is printed already, so a player that fails is worth no more than a warning.
async fn start(player: &PathBuf, address: &str) -> Result<(), Failure> {
    let name = player.display();
    printer::note(&format!("starting {name}"));
    // stdout is for data.
    let status = Command::new(player).arg(address).stdout(Stdio::null()).kill_on_drop(true).status().await;
    let status = status.map_err(|error| Failure::failed(format!("can't start `{name}`: {error}")))?;
    if !status.success() {
        printer::warning(&format!("{name} ended with {status}"));
    }
    Ok(())
}

/// The first player that is installed.
fn installed() -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let path = std::env::var_os("PATH")?;
    let is_program = |file: &PathBuf| file.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0);
    PLAYERS.iter().find_map(|name| std::env::split_paths(&path).map(|folder| folder.join(name)).find(is_program))
}
