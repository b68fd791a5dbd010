//! `upload`: sends files; the same command after an interruption continues.

use super::wait::wait;
use super::{Context, each};
use crate::args::Upload;
use crate::connect::{answer, request_id, unary};
use crate::errors::{CallError, Failure};
use crate::printer;
use crate::progress::Progress;
use crate::retry::Outage;
use crate::state::{Entry, Made, Slot, State};
use crate::text::clean;
use crate::upload::{SourceFile, send};
use std::path::Path;
use std::sync::Arc;
use vidstream_proto::error::{Exit, Problem};
use vidstream_proto::ids::VideoId;
use vidstream_proto::pb;

pub async fn run(context: &Context, args: Upload) -> Result<Exit, Failure> {
    if args.title.is_some() && args.files.len() > 1 {
        return Err(Failure::new(Exit::Usage, "`--title` needs exactly one FILE"));
    }
    let mut finished = Vec::new();
    let exit = each(&args.files, async |path| Box::pin(one(context, &args, path, &mut finished)).await).await?;
    // Only now: the same command after an interruption must not send the files again that it had finished.
    if exit != Exit::Unreachable && !finished.is_empty() {
        State::of_user()?.forget(&context.gateway.server, &finished)?;
    }
    Ok(exit)
}

/// Uploads one file, and notes the video of one that is not to be continued.
async fn one(context: &Context, args: &Upload, path: &Path, finished: &mut Vec<VideoId>) -> Result<(), Failure> {
    let file = Arc::new(SourceFile::open(path)?);
    let slot = State::of_user()?.slot(&context.gateway.server, &file.path)?;
    let title = args.title.as_deref().unwrap_or_default();
    let upload = match unfinished(context, &slot, &file).await? {
        Some(upload) => upload,
        None => create(context, &slot, &file, title).await?,
    };
    let mut progress = Progress::transfer(&file.name(), file.size());
    let video = send(&context.gateway, &upload, &file, &mut progress).await?;
    drop(progress);
    if !title.is_empty() && video.title != title.trim() {
        let hint = format!("it keeps the title `{}`; `vidctl update {} --title T` changes it", video.title, video.id);
        printer::warning(&clean(&hint));
    }
    let id = video.id.parse().map_err(|problem: Problem| context.gateway.told(problem.into()))?;
    let (video, verdict) = match args.wait {
        None => (video, Ok(())),
        Some(until) => wait(context, video, id, until).await?,
    };
    finished.push(id);
    context.printer.video(&video)?;
    verdict
}

/// The upload of this file that was interrupted, if the server still takes it.
async fn unfinished(context: &Context, slot: &Slot, file: &SourceFile) -> Result<Option<pb::Upload>, Failure> {
    let Some(Entry { upload: Some(made), file: then, .. }) = slot.load()? else { return Ok(None) };
    let Some(upload) = known(context, &made).await.map_err(|error| context.gateway.told(error))? else {
        printer::note("the server no longer has the unfinished upload of this file; uploading it anew");
        return Ok(None);
    };
    if then == file.fingerprint {
        printer::note(&format!("continuing the upload of `{}`", file.path.display()));
        return Ok(Some(upload));
    }
    if upload.state() == pb::UploadState::Complete {
        // Finished, only not heard of; what the file is now is something else.
        return Ok(None);
    }
    let message = format!("`{}` is not what it was when its unfinished upload began", file.path.display());
    let hint = format!("`vidctl rm {}` clears that upload, then the same command uploads the file anew", made.video_id);
    Err(Failure::failed(message).hint(hint))
}

/// The upload as the server has it; none if it, or its video, is gone.
async fn known(context: &Context, made: &Made) -> Result<Option<pb::Upload>, CallError> {
    let request = unary(pb::GetUploadRequest { upload_id: made.upload_id.clone() });
    let upload = match answer(context.gateway.uploads.clone().get_upload(request).await) {
        Err(error) if error.is_not_found() => return Ok(None),
        found => found?.upload.filter(|upload| upload.state() != pb::UploadState::Expired),
    };
    let Ok(id) = made.video_id.parse::<VideoId>() else { return Ok(None) };
    let is_shown = match context.gateway.video(id).await {
        Err(error) if error.is_not_found() => false,
        found => found?.state() != pb::VideoState::Removed,
    };
    Ok(upload.filter(|_| is_shown))
}

/// Makes an upload, or the one whose answer was lost with an earlier command, unless that one is gone by now.
async fn create(context: &Context, slot: &Slot, file: &SourceFile, title: &str) -> Result<pb::Upload, Failure> {
    let unheard = slot.load()?.filter(|e| e.upload.is_none() && e.file == file.fingerprint && e.title == title);
    if let Some(entry) = unheard {
        let repeated = match ask(context, slot, file, entry).await? {
            Some(upload) => {
                let made = Made { upload_id: upload.id, video_id: upload.video_id };
                known(context, &made).await.map_err(|error| context.gateway.told(error))?
            }
            None => None,
        };
        if let Some(upload) = repeated {
            return Ok(upload);
        }
    }
    let entry = slot.entry(request_id(), title, &file.fingerprint);
    let made = ask(context, slot, file, entry).await?;
    made.ok_or_else(|| Failure::failed("the server removed the upload while it was made".to_owned()))
}

/// The server's answer to the request for an upload. Where it is there and can't answer, its database standing still say, that is
/// waited out as it is later on; the request's id makes one upload of all attempts.
async fn created(context: &Context, file: &SourceFile, entry: &Entry) -> Result<pb::CreateUploadResponse, CallError> {
    let mut outage = Outage::default();
    loop {
        let request = unary(pb::CreateUploadRequest {
            request_id: entry.request_id.clone(),
            file_name: file.name(),
            size: file.size(),
            title: entry.title.clone(),
            blake3: vec![],
        });
        let error = match answer(context.gateway.uploads.clone().create_upload(request).await) {
            Ok(created) => return Ok(created),
            Err(error) if error.broken || !error.is_transient() => return Err(error),
            Err(error) => error,
        };
        if outage.is_new() {
            printer::note(&format!("not begun yet ({}); trying again", error.problem.message));
        }
        if !outage.wait(error.problem.retry_after).await {
            return Err(error);
        }
    }
}

/// Asks for an upload; none if the request was answered before and what was made then is gone. What is needed to find
/// it again is durable before the server is asked, and before the first byte.
async fn ask(
    context: &Context,
    slot: &Slot,
    file: &SourceFile,
    mut entry: Entry,
) -> Result<Option<pb::Upload>, Failure> {
    slot.save(&entry)?;
    let upload = match created(context, file, &entry).await {
        Ok(created) => created.upload.unwrap_or_default(),
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => {
            if !error.is_transient() {
                slot.clear()?;
            }
            let broken = error.broken;
            let told = context.gateway.told(error);
            return Err(if broken { told } else { told.about(&file.path) });
        }
    };
    entry.upload = Some(Made { upload_id: upload.id.clone(), video_id: upload.video_id.clone() });
    slot.save(&entry)?;
    Ok(Some(upload))
}
