//! One reading of a range: block after block, each from where it is.

use super::fetch::{self, Fetched, Found};
use super::{BLOCK, Inner, Key, shared};
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;
use tokio::sync::mpsc::Receiver;
use vidstream_backends::objects::{ObjectError, ObjectName};

/// A range on its way.
pub struct Reading {
    inner: Arc<Inner>,
    name: ObjectName,
    /// Of the object, bytes.
    size: u64,
    left: Range<u64>,
    /// Blocks that are fetched for this reading, from the next one on. Dropped, it is fetched no further.
    fetched: Option<Receiver<Fetched>>,
}

impl Reading {
    /// Of `range`, which lies inside the object of `size` bytes.
    pub fn new(inner: Arc<Inner>, name: ObjectName, size: u64, left: Range<u64>) -> Self {
        Self { inner, name, size, left, fetched: None }
    }

    /// The next bytes, a block or what is asked for of one.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ObjectError> {
        if self.left.is_empty() {
            return Ok(None);
        }
        let block = self.left.start / BLOCK;
        let bytes = self.block(block).await?;
        let within = |at: u64| usize::try_from(at - block * BLOCK).unwrap_or(usize::MAX).min(bytes.len());
        let piece = bytes.slice(within(self.left.start)..within(self.left.end));
        self.left.start += piece.len() as u64;
        Ok(Some(piece))
    }

    async fn block(&mut self, block: u64) -> Result<Bytes, ObjectError> {
        let key = Key { object: self.name.clone(), block };
        loop {
            if let Some(fetched) = &mut self.fetched {
                match fetched.recv().await {
                    Some(Fetched { bytes, .. }) => return bytes,
                    None => self.fetched = None,
                }
            }
            match self.inner.find(&key) {
                Found::Held(bytes) => return Ok(bytes),
                Found::Coming(mut coming) => {
                    // Who fetched it may have left without it.
                    let Ok(arrived) = coming.wait_for(Option::is_some).await.map(|arrived| arrived.clone()) else {
                        continue;
                    };
                    match arrived {
                        Some(Ok(bytes)) => return Ok(bytes),
                        Some(Err(error)) => return Err(shared(&self.name, &error)),
                        None => {}
                    }
                }
                Found::Claimed(claim) => {
                    let last = (self.left.end - 1) / BLOCK;
                    self.fetched = Some(fetch::begin(Arc::clone(&self.inner), claim, self.size, last));
                }
            }
        }
    }
}
