//! How much of the object store's room is for uploads.

use vidstream_backends::objects::{ObjectStore, Space};
use vidstream_proto::error::{Problem, Reason};

/// Kept free for pictures, indexes, the catalog and its log: a twentieth of the store, at the most this many bytes.
const MOST_KEPT: u64 = 1 << 30;
const TWENTIETH: u64 = 20;

/// Bytes that uploads may still bring; none: the store has no bounds.
pub async fn of(objects: &dyn ObjectStore) -> Result<Option<u64>, Problem> {
    let space = objects.space().await.map_err(|error| Problem::new(Reason::Unavailable, error.to_string()))?;
    Ok(space.map(for_uploads))
}

/// The same of a store that has this much.
pub fn for_uploads(Space { free, total }: Space) -> u64 {
    free.saturating_sub((total / TWENTIETH).min(MOST_KEPT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn something_is_kept_on_small_and_large_stores() {
        assert_eq!(for_uploads(Space { free: 50 << 20, total: 100 << 20 }), 45 << 20);
        assert_eq!(for_uploads(Space { free: 50 << 30, total: 1 << 40 }), 49 << 30);
        assert_eq!(for_uploads(Space { free: 1 << 20, total: 1 << 40 }), 0);
    }
}
