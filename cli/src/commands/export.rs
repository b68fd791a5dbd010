//! `export`: the original as one object on S3, verified before it is one.

use super::download::{Fetching, offered};
use super::{Context, video_id};
use crate::args::Export;
use crate::errors::Failure;
use crate::printer;
use crate::target::{Target, failed};
use crate::text::{clean, size};
use vidstream_backends::objects::{ObjectsUrl, S3Url};
use vidstream_proto::error::Exit;
use vidstream_s3::S3Store;

/// The bytes go through this process, and the keys are of whoever runs it: a server that wrote wherever it is told to would lend its own.
pub async fn run(context: &Context, args: Export) -> Result<Exit, Failure> {
    let id = video_id(&args.id)?;
    let (bucket, key) = place(&args.destination).map_err(|words| Failure::new(Exit::Usage, words))?;
    let video = context.gateway.video(id).await.map_err(|error| context.gateway.told(error))?;
    let upload = offered(&video)?;
    // As `cp` does with a folder.
    let key = if key.is_empty() || key.ends_with('/') { key + &video.file_name } else { key };
    let store = S3Store::open(&bucket).await.map_err(|error| Failure::failed(error.to_string()))?;
    let export = store.export(&key, upload.size, args.replace).await.map_err(failed)?;
    let target = Target::Object(Box::new(export));
    let mut fetching = Fetching::new(context, id, &video.file_name, &upload, target)?;
    let fetched = tokio::select! {
        fetched = fetching.fetch() => fetched,
        Ok(()) = tokio::signal::ctrl_c() => Err(Failure::failed("interrupted").hint("no object was made")),
    };
    if let Err(failure) = fetched {
        fetching.give_up().await;
        return Err(failure);
    }
    fetching.finish(id, &upload.blake3).await?;
    let place = clean(&format!("s3://{}/{key}", bucket.bucket));
    printer::note(&format!("exported to {place}, {}, BLAKE3 verified", size(upload.size)));
    Ok(Exit::Done)
}

/// The bucket, with how to reach it, and the key, as it is written: `s3://[KEY:SECRET@]BUCKET/KEY[?endpoint=…]`.
fn place(destination: &str) -> Result<(S3Url, String), String> {
    let words = || "write s3://BUCKET/KEY, or s3://BUCKET/KEY?endpoint=URL for another server than Amazon's".to_owned();
    let rest = destination.strip_prefix("s3://").ok_or_else(words)?;
    let (path, options) = rest.split_once('?').map_or((rest, None), |(path, options)| (path, Some(options)));
    // What comes before the key names the bucket, as a server's `--objects` does. A key may have an `@`, the part before it no `/`.
    let (bucket, key) = path.split_once('/').ok_or_else(words)?;
    let options = options.map(|options| format!("?{options}")).unwrap_or_default();
    match format!("s3://{bucket}{options}").parse() {
        Ok(ObjectsUrl::S3(url)) => Ok((*url, key.to_owned())),
        Ok(ObjectsUrl::File(_)) => Err(words()),
        Err(error) => Err(error.to_string()),
    }
}
