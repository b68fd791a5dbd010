//! The bytes of a request as the chunks that its caller has: joined nowhere, sent again as often as it takes.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// What is to be sent: chunks, and how many bytes they are.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    chunks: Arc<[Bytes]>,
    len: u64,
}

impl Content {
    pub(crate) fn new(chunks: Vec<Bytes>) -> Self {
        let len = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        Self { chunks: chunks.into(), len }
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// A body that can be made again for each attempt.
    pub(crate) fn body(&self) -> ByteStream {
        let content = self.clone();
        ByteStream::new(SdkBody::retryable(move || {
            SdkBody::from_body_1_x(Sending { chunks: Arc::clone(&content.chunks), next: 0, left: content.len })
        }))
    }

    /// The same bytes as parts of `size` bytes, the last one shorter. Nothing is copied.
    pub(crate) fn parts(&self, size: usize) -> Vec<Self> {
        let (mut parts, mut part, mut room) = (Vec::new(), Vec::new(), size);
        for chunk in self.chunks.iter() {
            let mut rest = chunk.clone();
            while !rest.is_empty() {
                let piece = rest.split_to(rest.len().min(room));
                room -= piece.len();
                part.push(piece);
                if room == 0 {
                    parts.push(Self::new(std::mem::take(&mut part)));
                    room = size;
                }
            }
        }
        if !part.is_empty() {
            parts.push(Self::new(part));
        }
        parts
    }
}

struct Sending {
    chunks: Arc<[Bytes]>,
    next: usize,
    left: u64,
}

impl Body for Sending {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        while let Some(chunk) = self.chunks.get(self.next).cloned() {
            self.next += 1;
            if !chunk.is_empty() {
                self.left -= chunk.len() as u64;
                return Poll::Ready(Some(Ok(Frame::data(chunk))));
            }
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_is_its_chunks_as_often_as_wanted() {
        let content = Content::new(vec![Bytes::from_static(b"ab"), Bytes::new(), Bytes::from_static(b"c")]);
        let body = content.body();
        assert_eq!((content.len(), body.size_hint()), (3, (3, Some(3))));
        let again = ByteStream::new(body.into_inner().try_clone().unwrap());
        assert_eq!(again.collect().await.unwrap().to_vec(), b"abc");
        assert_eq!(Content::new(vec![]).body().size_hint(), (0, Some(0)));
    }

    #[test]
    fn parts_are_cut_where_they_are_full() {
        let content = Content::new(vec![Bytes::from_static(b"abcde"), Bytes::new(), Bytes::from_static(b"fgh")]);
        let texts = |size| -> Vec<Vec<u8>> { content.parts(size).iter().map(|part| part.chunks.concat()).collect() };
        assert_eq!(texts(3), [b"abc".to_vec(), b"def".to_vec(), b"gh".to_vec()]);
        assert_eq!(texts(4), [b"abcd".to_vec(), b"efgh".to_vec()]);
        assert_eq!(texts(9), [b"abcdefgh".to_vec()]);
        assert!(content.parts(4).iter().all(|part| part.len() == 4));
    }
}
