//! Walking the names below a prefix.

use std::{fs, io, path::Path};

use futures::{StreamExt as _, stream, stream::BoxStream};
use tokio::sync::mpsc;

use super::{info, is_absent, unavailable};
use crate::objects::{ObjectError, ObjectInfo, ObjectName, ObjectPrefix};

/// Entries found ahead of whoever reads the list.
const AHEAD: usize = 256;

pub(super) fn list(root: &Path, prefix: &ObjectPrefix) -> BoxStream<'static, Result<ObjectInfo, ObjectError>> {
    let (found, entries) = mpsc::channel(AHEAD);
    let (root, prefix) = (root.to_owned(), prefix.clone());
    tokio::task::spawn_blocking(move || {
        if let Err(Stop::Failed(error)) = walk(&root, &prefix, &found) {
            // The reader may have gone; then nobody wants to know.
            let _ = found.blocking_send(Err(unavailable("list objects below", prefix.to_string(), error)));
        }
    });
    stream::unfold(entries, |mut entries| async move { entries.recv().await.map(|entry| (entry, entries)) }).boxed()
}

enum Stop {
    Failed(io::Error),
    Unread,
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

fn walk(root: &Path, prefix: &ObjectPrefix, found: &mpsc::Sender<Result<ObjectInfo, ObjectError>>) -> Result<(), Stop> {
    let mut directories = vec![prefix.clone()];
    while let Some(directory) = directories.pop() {
        let entries = match fs::read_dir(root.join(directory.as_str())) {
            Ok(entries) => entries,
            Err(error) if is_absent(&error) => continue,
            Err(error) => return Err(error.into()),
        };
        for entry in entries {
            let entry = entry?;
            // What has no valid name is not an object: the scratch directory, or a stranger's file.
            let Some(name) = entry.file_name().to_str().and_then(|segment| directory.name(segment).ok()) else {
                continue;
            };
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => directories.push(as_prefix(&name)),
                Ok(metadata) if metadata.is_file() => {
                    found.blocking_send(Ok(info(name, &metadata))).map_err(|_| Stop::Unread)?;
                }
                Ok(_) => {}
                Err(error) if is_absent(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

fn as_prefix(name: &ObjectName) -> ObjectPrefix {
    name.as_str().parse().expect("a valid name is a valid prefix")
}
