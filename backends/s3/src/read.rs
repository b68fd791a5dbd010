//! Reading: a stream gives every byte that was asked for, or ends with an error. One that breaks is taken up where it was.

use std::{ops::Range, sync::Arc};

use aws_sdk_s3::{operation::get_object::GetObjectOutput, primitives::ByteStream as Body};
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use vidstream_backends::objects::{ByteStream, Object, ObjectError, ObjectName, gather};

use crate::{
    failure::{Failure, Kind, root},
    store::{Inner, failed},
};

const DOING: &str = "read object";
/// Of several ranges, how many are on their way at the same time.
const RANGES_AT_ONCE: usize = 8;
/// Up to how many bytes a range, one of several, is read into memory while those before it are sent on.
const SMALL: u64 = 512 << 10;
/// No object is larger, and servers may stumble over larger numbers.
const LARGEST: u64 = 1 << 53;

/// A stream of bytes on its way.
struct Reading {
    store: Arc<Inner>,
    name: ObjectName,
    /// What is still to come.
    left: Range<u64>,
    /// Which content of that name is read.
    tag: Option<String>,
    body: Option<Body>,
    resumptions: u32,
}

/// An answer that was looked at.
struct Opened {
    body: Body,
    tag: Option<String>,
    /// The whole object's, bytes.
    size: u64,
}

impl Inner {
    pub(crate) async fn get(self: &Arc<Self>, name: &ObjectName) -> Result<Object, ObjectError> {
        let request = self.client.get_object().bucket(&self.bucket).key(self.key(name));
        let found = request.send().await.map_err(|error| failed(DOING, name, self.failure(&error)))?;
        let size = found.content_length().and_then(|size| u64::try_from(size).ok());
        let size = size.ok_or_else(|| odd(name, "an object came without its size"))?;
        let opened = Opened { tag: found.e_tag, body: found.body, size };
        Ok(Object { size, bytes: self.stream(name, 0..size, opened) })
    }

    pub(crate) async fn get_range(
        self: &Arc<Self>,
        name: &ObjectName,
        range: Range<u64>,
    ) -> Result<ByteStream, ObjectError> {
        if range.start >= range.end || range.end > LARGEST {
            // There is no way to ask for no bytes.
            inside(name, &range, self.size(name).await?)?;
            return Ok(stream::empty().boxed());
        }
        let opened = self.open_range(name, &range).await?;
        Ok(self.stream(name, range, opened))
    }

    /// Small ranges are read into memory, a few at the same time; the others are streamed when it is their turn.
    pub(crate) async fn get_ranges(
        self: &Arc<Self>,
        name: &ObjectName,
        mut ranges: Vec<Range<u64>>,
    ) -> Result<ByteStream, ObjectError> {
        let Some(first) = ranges.first().cloned() else { return Ok(stream::empty().boxed()) };
        if ranges.len() == 1 {
            return self.get_range(name, first).await;
        }
        // All are looked at before the first byte goes out.
        let size = self.size(name).await?;
        ranges.iter().try_for_each(|range| inside(name, range, size))?;
        ranges.retain(|range| !range.is_empty());
        let (store, name) = (Arc::clone(self), name.clone());
        let streams = stream::iter(ranges).map(move |range| {
            let (store, name) = (Arc::clone(&store), name.clone());
            async move {
                if range.end - range.start > SMALL {
                    return Ok(stream::once(async move { store.get_range(&name, range).await }).try_flatten().boxed());
                }
                let bytes = gather(store.get_range(&name, range).await?).await?;
                Ok::<_, ObjectError>(stream::once(async { Ok(bytes) }).boxed())
            }
        });
        Ok(streams.buffered(RANGES_AT_ONCE).try_flatten().boxed())
    }

    async fn size(&self, name: &ObjectName) -> Result<u64, ObjectError> {
        let size = self.look_up(name).await?.content_length();
        size.and_then(|size| u64::try_from(size).ok()).ok_or_else(|| odd(name, "an object came without its size"))
    }

    async fn open_range(&self, name: &ObjectName, range: &Range<u64>) -> Result<Opened, ObjectError> {
        match self.ask(name, range, None).await {
            Ok(found) => {
                let opened = opened(found, range).map_err(|words| odd(name, words))?;
                inside(name, range, opened.size)?;
                Ok(opened)
            }
            Err(failure) if failure.kind == Kind::Range => {
                inside(name, range, self.size(name).await?)?;
                // It grew: another was put under its name meanwhile.
                Err(failed(DOING, name, failure))
            }
            Err(failure) => Err(failed(DOING, name, failure)),
        }
    }

    async fn ask(&self, name: &ObjectName, range: &Range<u64>, tag: Option<&str>) -> Result<GetObjectOutput, Failure> {
        let bytes = format!("bytes={}-{}", range.start, range.end - 1);
        let request = self.client.get_object().bucket(&self.bucket).key(self.key(name)).range(bytes);
        let request = request.set_if_match(tag.map(str::to_owned));
        request.send().await.map_err(|error| self.failure(&error))
    }

    fn stream(self: &Arc<Self>, name: &ObjectName, range: Range<u64>, opened: Opened) -> ByteStream {
        let reading = Reading {
            store: Arc::clone(self),
            name: name.clone(),
            left: range,
            tag: opened.tag,
            body: Some(opened.body),
            resumptions: 0,
        };
        let pieces = stream::try_unfold(reading, |mut reading| async move {
            let piece = reading.next().await?;
            Ok(piece.map(|piece| (piece, reading)))
        });
        pieces.boxed()
    }
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Bytes>, ObjectError> {
        loop {
            if self.left.is_empty() {
                return Ok(None);
            }
            let mut body = match self.body.take() {
                Some(body) => body,
                None => self.resume().await?,
            };
            let broken = match tokio::time::timeout(self.store.patience.piece, body.next()).await {
                Ok(Some(Ok(piece))) => {
                    let come = piece.len() as u64;
                    if come > self.left.end - self.left.start {
                        return Err(odd(&self.name, "more bytes came than were asked for"));
                    }
                    self.left.start += come;
                    self.body = Some(body);
                    if come > 0 {
                        return Ok(Some(piece));
                    }
                    continue;
                }
                Ok(Some(Err(error))) => format!("its bytes stopped coming: {}", root(&error)),
                Ok(None) => "its bytes ended early".to_owned(),
                Err(_) => "its bytes stopped coming".to_owned(),
            };
            tracing::debug!(name = %self.name, at = self.left.start, broken, "a stream broke");
            if self.resumptions == self.store.patience.resumptions {
                return Err(odd(&self.name, broken));
            }
            self.resumptions += 1;
        }
    }

    /// Asks for what is left, of the very same content.
    async fn resume(&self) -> Result<Body, ObjectError> {
        if self.tag.is_none() {
            return Err(odd(&self.name, "its bytes stopped coming, and it has no tag to ask for the rest by"));
        }
        match self.store.ask(&self.name, &self.left, self.tag.as_deref()).await {
            Ok(found) => Ok(opened(found, &self.left).map_err(|words| odd(&self.name, words))?.body),
            Err(failure) => match failure.kind {
                Kind::NoObject | Kind::Condition | Kind::Range => {
                    Err(odd(&self.name, "it was deleted or replaced while it was read"))
                }
                _ => Err(failed(DOING, &self.name, failure)),
            },
        }
    }
}

/// Whether the answer is what `range` asked for. A range that goes on behind the object's end is answered shorter, one that is
/// not understood by the whole object.
fn opened(found: GetObjectOutput, range: &Range<u64>) -> Result<Opened, &'static str> {
    let length = found.content_length().and_then(|length| u64::try_from(length).ok());
    let (begin, size) = match found.content_range() {
        Some(text) => content_range(text).ok_or("an answer does not say which bytes it has")?,
        None => (0, length.ok_or("an object came without its size")?),
    };
    if begin != range.start || length.is_some_and(|length| length != range.end.min(size).saturating_sub(begin)) {
        return Err("other bytes came than were asked for");
    }
    Ok(Opened { body: found.body, tag: found.e_tag, size })
}

/// First byte and size of the whole, of `bytes FIRST-LAST/SIZE`.
fn content_range(text: &str) -> Option<(u64, u64)> {
    let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    Some((first.parse().ok()?, size.parse().ok()?))
}

fn inside(name: &ObjectName, range: &Range<u64>, size: u64) -> Result<(), ObjectError> {
    if range.start <= range.end && range.end <= size {
        return Ok(());
    }
    Err(ObjectError::RangeOutside { name: name.clone(), start: range.start, end: range.end, size })
}

fn odd(name: &ObjectName, words: impl Into<String>) -> ObjectError {
    failed(DOING, name, Failure::new(Kind::Unavailable, words))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(range: Option<&str>, length: i64) -> GetObjectOutput {
        GetObjectOutput::builder().set_content_range(range.map(str::to_owned)).content_length(length).build()
    }

    #[test]
    fn an_answer_is_what_was_asked_for_or_refused() {
        let size = |found, range| opened(found, &range).map(|opened| opened.size);
        assert_eq!(size(answer(Some("bytes 2-4/9"), 3), 2..5), Ok(9));
        assert_eq!(size(answer(Some("bytes 2-8/9"), 7), 2..20), Ok(9), "told by its size, refused by whoever asked");
        assert_eq!(size(answer(None, 9), 0..9), Ok(9), "the whole object may come as such");
        assert!(size(answer(None, 9), 2..5).is_err(), "the range was ignored");
        assert!(size(answer(None, 9), 0..5).is_err(), "the range was ignored");
        assert!(size(answer(Some("bytes 3-4/9"), 2), 2..5).is_err());
        assert!(size(answer(Some("bytes 2-3/9"), 2), 2..5).is_err());
        assert!(size(answer(Some("bytes 2-4/*"), 3), 2..5).is_err());
    }
}
