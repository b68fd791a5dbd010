//! Files that jobs make of a source: normalised ones and encoded tracks. They are written once, from the beginning to the
//! end, and lie in objects of one cell each, so where a byte is follows from its offset and nothing has to be recorded.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinSet;
use vidstream_backends::objects::{ObjectError, ObjectName, ObjectStore};
use vidstream_proto::{error::Problem, pb};

use crate::extents::CELL;

/// Cells that are on their way to the store while the next one is gathered.
const WRITES_AT_ONCE: usize = 2;

/// Where the bytes of a made file are.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct MadeFile {
    prefix: Arc<str>,
    size: u64,
}

/// An object with a part of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Stored {
    /// The bytes of the file that it has.
    pub(crate) range: Range<u64>,
    /// Its name.
    pub(crate) name: ObjectName,
}

impl MadeFile {
    /// Bytes of the file.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The object with the byte at `offset`, which is inside of the file.
    pub(crate) fn stored(&self, offset: u64) -> Stored {
        let number = offset / CELL;
        let start = number * CELL;
        Stored { range: start..self.size.min(start + CELL), name: cell_name(&self.prefix, number) }
    }

    /// Whether the object is one of the file's.
    pub fn has(&self, name: &str) -> bool {
        has(&self.prefix, self.size, name)
    }
}

/// Whether `name` is an object of the file of `size` bytes behind `prefix`.
fn has(prefix: &str, size: u64, name: &str) -> bool {
    let number = name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-'));
    let parsed = number.and_then(|text| text.parse::<u64>().ok().filter(|n| n.to_string() == text));
    parsed.is_some_and(|number| number < size.div_ceil(CELL))
}

fn cell_name(prefix: &str, number: u64) -> ObjectName {
    format!("{prefix}-{number}").parse().expect("checked when the prefix was taken")
}

impl TryFrom<&pb::MadeFile> for MadeFile {
    type Error = Problem;

    fn try_from(file: &pb::MadeFile) -> Result<Self, Problem> {
        let named: Result<ObjectName, _> = format!("{}-{}", file.prefix, u64::MAX).parse();
        named.map_err(|_| Problem::field("file.prefix", "does not begin the name of an object"))?;
        Ok(Self { prefix: file.prefix.as_str().into(), size: file.size })
    }
}

impl From<&MadeFile> for pb::MadeFile {
    fn from(file: &MadeFile) -> Self {
        Self { prefix: file.prefix.to_string(), size: file.size }
    }
}

/// Writes a made file as its bytes come. Nothing refers to it before it is finished; dropped, it leaves garbage under a lease
/// that has ended.
pub struct MadeWriter {
    store: Arc<dyn ObjectStore>,
    prefix: Arc<str>,
    size: u64,
    gathered: Vec<Bytes>,
    gathered_len: u64,
    /// Aborted when this is dropped.
    writes: JoinSet<Result<(), ObjectError>>,
}

impl MadeWriter {
    /// Of a file behind `prefix`, as [`names::made`](crate::names::made) says it.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: &str) -> Self {
        let writes = JoinSet::new();
        Self { store, prefix: prefix.into(), size: 0, gathered: Vec::new(), gathered_len: 0, writes }
    }

    /// Bytes so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Takes the next bytes; waits while the store is behind.
    pub async fn push(&mut self, mut bytes: Bytes) -> Result<(), ObjectError> {
        while !bytes.is_empty() {
            let room = CELL - self.gathered_len;
            let part = bytes.split_to(usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len()));
            self.gathered_len += part.len() as u64;
            self.size += part.len() as u64;
            self.gathered.push(part);
            if self.gathered_len == CELL {
                self.write();
                while self.writes.len() > WRITES_AT_ONCE {
                    self.written().await?;
                }
            }
        }
        Ok(())
    }

    fn write(&mut self) {
        let name = cell_name(&self.prefix, (self.size - 1) / CELL);
        let (store, chunks) = (Arc::clone(&self.store), std::mem::take(&mut self.gathered));
        self.gathered_len = 0;
        self.writes.spawn(async move { store.put(&name, chunks).await });
    }

    /// Waits for the end of a write; says whether there was one.
    async fn written(&mut self) -> Result<bool, ObjectError> {
        match self.writes.join_next().await {
            None => Ok(false),
            Some(Ok(written)) => written.map(|()| true),
            Some(Err(error)) => Err(ObjectError::Unavailable {
                doing: "write a cell of",
                name: self.prefix.to_string(),
                source: Box::new(error),
            }),
        }
    }

    /// The file, once all of it is durable.
    pub async fn finish(mut self) -> Result<MadeFile, ObjectError> {
        if self.gathered_len > 0 {
            self.write();
        }
        while self.written().await? {}
        Ok(MadeFile { prefix: self.prefix, size: self.size })
    }
}

impl std::fmt::Debug for MadeWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MadeWriter").field("prefix", &self.prefix).field("size", &self.size).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "files in tests are small")]
mod tests {
    use super::*;
    use crate::reader::SourceReader;
    use crate::testing::pattern;
    use vidstream_backends::objects::FileStore;

    #[tokio::test]
    async fn what_is_written_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let store: Arc<dyn ObjectStore> = Arc::new(FileStore::open(folder.path()).await.expect("a store"));
        let content = pattern(2 * CELL as usize + 12_345);
        let mut writer = MadeWriter::new(Arc::clone(&store), "sources/x/encode/1/v1");
        let mut rest = content.clone();
        for len in [1, 5_000_000, CELL as usize, 100].into_iter().cycle() {
            let piece = rest.split_to(len.min(rest.len()));
            writer.push(piece).await.expect("taken");
            if rest.is_empty() {
                break;
            }
        }
        let file = writer.finish().await.expect("durable");
        assert_eq!(file.size(), content.len() as u64);
        let reader = SourceReader::of_made(file.clone(), store);
        for range in [0..10, CELL - 5..CELL + 5, 3..2 * CELL + 12_345, 2 * CELL + 12_345..2 * CELL + 12_345] {
            let read = reader.read_exact(range.clone()).await.expect("read");
            assert_eq!(read, content[range.start as usize..range.end as usize], "{range:?}");
        }
        assert!(reader.read_exact(0..2 * CELL + 12_346).await.is_err());
        let has = |name: &str| file.has(&format!("sources/x/encode/1/{name}"));
        assert!(has("v1-0") && has("v1-2") && !has("v1-3") && !has("v1-00") && !has("v1.index") && !has("v10-0"));
    }
}
