//! Lists of videos and their page tokens.

use crate::Catalog;
use crate::search;
use crate::store::{ListKey, ListQuery};
use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use uuid::Uuid;
use vidstream_proto::error::Problem;
use vidstream_proto::ids::VideoId;
use vidstream_proto::pb::{self, VideoOrder};
use vidstream_proto::time::system_time;
use vidstream_proto::video::{Entry, ListVideos};

/// Entries that a call looks at for words that are common in titles but not in one: some tens of milliseconds. What is
/// behind them is the next page's.
const LOOKS: usize = 10_000;

/// Bytes that tell one list's tokens from another's.
const LIST: usize = 8;

impl Catalog {
    /// One page of videos, and the feed's position before it was read.
    pub(crate) async fn list_videos(&self, list: ListVideos) -> Result<pb::ListEntriesResponse, Problem> {
        let which = list_hash(&list);
        let after = read_token(&list, which)?;
        let query = ListQuery {
            state: list.state,
            prefixes: search::prefixes(&list.search),
            after,
            order: list.order,
            // One more than asked tells whether there is a next page.
            limit: list.page_size + 1,
            looks: LOOKS,
        };
        let mut page = self.store.list_videos(query).await?;
        let more = page.entries.len() > list.page_size;
        page.entries.truncate(list.page_size);
        let end = match page.entries.last() {
            Some(entry) if more => Some(place(entry, list.order)?),
            _ => page.looked,
        };
        Ok(pb::ListEntriesResponse {
            entries: page.entries.into_iter().map(Into::into).collect(),
            next_page_token: end.map_or_else(String::new, |end| token(&end, which)),
            position: page.position.to_string(),
        })
    }
}

/// What makes it another list.
fn list_hash(list: &ListVideos) -> [u8; LIST] {
    let state = list.state.map_or(0, i32::from);
    let words = search::prefixes(&list.search).join(" ");
    let hash = blake3::hash(format!("{state}/{}/{words}", i32::from(list.order)).as_bytes());
    *hash.as_bytes().first_chunk().expect("32 bytes have 8")
}

/// Where an entry stands in a list.
fn place(entry: &Entry, order: VideoOrder) -> Result<ListKey, Problem> {
    Ok(match order {
        VideoOrder::Title => ListKey::Title(search::title_key(&entry.video.title), entry.id),
        VideoOrder::Created | VideoOrder::Unspecified => {
            let stamp = entry.video.create_time.as_ref();
            let created = stamp.map(|stamp| system_time("create_time", stamp)).transpose()?;
            ListKey::Created(created.unwrap_or(UNIX_EPOCH), entry.id)
        }
    })
}

/// A place in a list, in hexadecimal: which list, the entry's id, what it is sorted by.
fn token(place: &ListKey, which: [u8; LIST]) -> String {
    let bytes = match place {
        ListKey::Title(title, id) => [&which, id.as_uuid().as_bytes().as_slice(), title.as_bytes()].concat(),
        ListKey::Created(created, id) => {
            let since = created.duration_since(UNIX_EPOCH).unwrap_or_default();
            let nanos = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
            [&which, id.as_uuid().as_bytes().as_slice(), &nanos.to_be_bytes()].concat()
        }
    };
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn read_token(list: &ListVideos, which: [u8; LIST]) -> Result<Option<ListKey>, Problem> {
    if list.page_token.is_empty() {
        return Ok(None);
    }
    let wrong = || Problem::field("page_token", "is not one of this list; start with its first page");
    let bytes = unhex(&list.page_token).ok_or_else(wrong)?;
    let rest = bytes.strip_prefix(&which).ok_or_else(wrong)?;
    let (id, key) = rest.split_first_chunk().ok_or_else(wrong)?;
    let id = VideoId::from_uuid(Uuid::from_bytes(*id));
    let key = match list.order {
        VideoOrder::Title => ListKey::Title(String::from_utf8(key.to_vec()).map_err(|_| wrong())?, id),
        VideoOrder::Created | VideoOrder::Unspecified => ListKey::Created(instant(key).ok_or_else(wrong)?, id),
    };
    Ok(Some(key))
}

fn instant(key: &[u8]) -> Option<SystemTime> {
    let nanos = u64::from_be_bytes(key.try_into().ok()?);
    UNIX_EPOCH.checked_add(Duration::from_nanos(nanos))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok().filter(|_| pair.len() == 2)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use vidstream_proto::ids::SourceId;

    fn list(order: VideoOrder, search: &str) -> ListVideos {
        ListVideos { page_size: 1, page_token: String::new(), state: None, search: search.into(), order }
    }

    fn entry(title: &str, nanos: u32) -> Entry {
        let id = VideoId::generate();
        let create_time = Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: nanos.cast_signed() });
        let video = pb::Video { id: id.to_string(), title: title.into(), create_time, ..pb::Video::default() };
        Entry { id, source_id: SourceId::generate(), video }
    }

    proptest! {
        #[test]
        fn a_token_leads_back_to_its_place(title in "\\PC{1,200}", nanos in 0..1_000_000_000_u32) {
            let entry = entry(&title, nanos);
            for order in [VideoOrder::Created, VideoOrder::Title] {
                let mut list = list(order, "sea");
                let hash = list_hash(&list);
                list.page_token = token(&place(&entry, order).unwrap(), hash);
                prop_assert!(list.page_token.len() <= 2000, "the contract's limit");
                let expected = match order {
                    VideoOrder::Title => ListKey::Title(search::title_key(&title), entry.id),
                    _ => ListKey::Created(UNIX_EPOCH + Duration::new(1_700_000_000, nanos), entry.id),
                };
                prop_assert_eq!(read_token(&list, hash).unwrap(), Some(expected));
            }
        }

        #[test]
        fn no_token_makes_it_panic(text in "\\PC{0,80}", hex in "[0-9a-f]{48,80}") {
            for token in [text, hex] {
                let list = ListVideos { page_token: token, ..list(VideoOrder::Title, "") };
                let _ = read_token(&list, [0; LIST]);
            }
        }
    }

    #[test]
    fn another_lists_token_is_refused() {
        let first = list(VideoOrder::Created, "sea");
        let place = place(&entry("x", 0), VideoOrder::Created).unwrap();
        let page_token = token(&place, list_hash(&first));
        let with_token = |list: ListVideos| ListVideos { page_token: page_token.clone(), ..list };
        let read = |list: ListVideos| read_token(&list, list_hash(&list));
        assert!(read(with_token(list(VideoOrder::Created, "SEA"))).is_ok(), "the same words");
        assert!(read(with_token(list(VideoOrder::Created, "lake"))).is_err());
        assert!(read(with_token(list(VideoOrder::Title, "sea"))).is_err());
        assert!(read(with_token(ListVideos { state: Some(pb::VideoState::Failed), ..first })).is_err());
    }
}
