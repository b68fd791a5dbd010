//! Pages of lists.

use super::super::rows::{nanos, time};
use super::super::{ListKey, ListPage, ListQuery, Result};
use super::{feed, limit, uuid, videos};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};
use vidstream_proto::ids::VideoId;
use vidstream_proto::pb::VideoOrder;
use vidstream_proto::video::Entry;

/// Entries that are read and sorted, at the most, before it is cheaper to walk along the list and look at the words of each
/// entry. Walking to a page of `p` in `n` videos of which `c` have the word reads `p·n/c` entries, sorting reads `c`: with
/// pages of 50 the two meet at 2,200 for a library of 100,000.
const COMMON: usize = 2000;

pub(super) fn page(c: &Connection, query: &ListQuery) -> Result<ListPage> {
    let position = feed::state(c)?.latest;
    let rare = rare(c, query)?;
    let walks = !query.prefixes.is_empty() && rare.is_none();
    let end = if walks { end_of_walk(c, query)? } else { None };
    let (sql, values) = statement(query, rare, end.as_ref());
    let mut page = c.prepare_cached(&sql)?;
    let rows = page.query_map(params_from_iter(values), videos::raw)?;
    let entries: Vec<Entry> = rows.map(|row| Ok(row?.decode()?.entry)).collect::<Result<_>>()?;
    let looked = end.filter(|_| entries.len() < query.limit);
    Ok(ListPage { entries, looked, position })
}

/// The last entry that a walk along the list looks at; none if the list ends before.
fn end_of_walk(c: &Connection, query: &ListQuery) -> Result<Option<ListKey>> {
    let (condition, mut values) = place(query);
    let (key, order) = match query.order {
        VideoOrder::Title => ("v.title", "v.title, v.id"),
        VideoOrder::Created | VideoOrder::Unspecified => ("v.created", "v.created DESC, v.id DESC"),
    };
    let sql = format!("SELECT {key}, v.id FROM video v WHERE {condition} ORDER BY {order} LIMIT 1 OFFSET ?");
    values.push(Value::from(limit(query.looks.saturating_sub(1))));
    let mut end = c.prepare_cached(&sql)?;
    let end = end.query_row(params_from_iter(values), |row| {
        let id = VideoId::from_uuid(uuid(row.get(1)?));
        Ok(match query.order {
            VideoOrder::Title => ListKey::Title(row.get(0)?, id),
            VideoOrder::Created | VideoOrder::Unspecified => ListKey::Created(time(row.get(0)?), id),
        })
    });
    Ok(end.optional()?)
}

/// The rarest of the asked words, by its place, if it is not a common one.
fn rare(c: &Connection, query: &ListQuery) -> Result<Option<usize>> {
    let mut count =
        c.prepare_cached("SELECT COUNT(*) FROM (SELECT 1 FROM word WHERE word >= ? AND word < ? LIMIT ?)")?;
    let mut rarest = None;
    let mut fewest = COMMON.min(query.looks);
    for (at, prefix) in query.prefixes.iter().enumerate() {
        let found: i64 = count.query_row(params![prefix, behind(prefix), limit(fewest)], |row| row.get(0))?;
        let found = usize::try_from(found).unwrap_or_default();
        if found < fewest {
            (rarest, fewest) = (Some(at), found);
        }
    }
    Ok(rarest)
}

/// No word holds the last code point, so this is behind every word with the prefix.
fn behind(prefix: &str) -> String {
    format!("{prefix}\u{10ffff}")
}

/// Which entries a list has, and those of them behind the page before.
fn place(query: &ListQuery) -> (String, Vec<Value>) {
    let (mut sql, mut values) = match query.state {
        None => ("v.shown = 1".to_owned(), vec![]),
        Some(state) => ("v.state = ?".to_owned(), vec![Value::from(i32::from(state))]),
    };
    match &query.after {
        None => {}
        Some(key @ ListKey::Created(..)) => bound(&mut sql, &mut values, "(v.created, v.id) < (?, ?)", key),
        Some(key @ ListKey::Title(..)) => bound(&mut sql, &mut values, "(v.title, v.id) > (?, ?)", key),
    }
    (sql, values)
}

/// Adds a comparison of an entry's place with `key`.
fn bound(sql: &mut String, values: &mut Vec<Value>, comparison: &str, key: &ListKey) {
    sql.push_str(" AND ");
    sql.push_str(comparison);
    let (key, id) = match key {
        ListKey::Created(created, id) => (Value::from(nanos(*created)), id),
        ListKey::Title(title, id) => (Value::from(title.clone()), id),
    };
    values.extend([key, Value::from(id.as_uuid().as_bytes().to_vec())]);
}

/// The statement of a list and what is bound to it. Filter and order lie in one index, which is walked along up to `end`;
/// each asked word of an entry is looked up in another. With a `rare` word its entries alone are looked at, and their
/// keys sorted.
fn statement(query: &ListQuery, rare: Option<usize>, end: Option<&ListKey>) -> (String, Vec<Value>) {
    let (place, mut values) = place(query);
    // With a plus a column is no reason to use its index: a rare word's entries are found by their numbers.
    let mut sql = if rare.is_some() { format!("+{place}") } else { place };
    for (at, prefix) in query.prefixes.iter().enumerate() {
        sql.push_str(if rare == Some(at) {
            " AND v.number IN (SELECT video FROM word WHERE word >= ? AND word < ?)"
        } else {
            " AND EXISTS (SELECT 1 FROM word w WHERE w.video = v.number AND w.word >= ? AND w.word < ?)"
        });
        values.extend([Value::from(prefix.clone()), Value::from(behind(prefix))]);
    }
    match end {
        None => {}
        Some(key @ ListKey::Created(..)) => bound(&mut sql, &mut values, "(v.created, v.id) >= (?, ?)", key),
        Some(key @ ListKey::Title(..)) => bound(&mut sql, &mut values, "(v.title, v.id) <= (?, ?)", key),
    }
    let order = match query.order {
        VideoOrder::Title => "v.title, v.id",
        VideoOrder::Created | VideoOrder::Unspecified => "v.created DESC, v.id DESC",
    };
    values.push(Value::from(limit(query.limit)));
    let columns = videos::COLUMNS;
    let sql = match rare {
        None => format!("SELECT {columns} FROM video v WHERE {sql} ORDER BY {order} LIMIT ?"),
        // Keys are sorted, not whole rows.
        Some(_) => format!(
            "SELECT {columns} FROM video v
             WHERE v.number IN (SELECT v.number FROM video v WHERE {sql} ORDER BY {order} LIMIT ?) ORDER BY {order}"
        ),
    };
    (sql, values)
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::*;
    use std::time::UNIX_EPOCH;
    use vidstream_proto::ids::VideoId;
    use vidstream_proto::pb::VideoState;

    fn plan(query: &ListQuery, rare: Option<usize>, end: Option<&ListKey>) -> String {
        let folder = tempfile::tempdir().unwrap();
        let mut connection = schema::connect(&folder.path().join("x.db")).unwrap();
        schema::migrate(&mut connection).unwrap();
        let (sql, values) = statement(query, rare, end);
        let mut explain = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let steps = explain.query_map(params_from_iter(values), |row| row.get::<_, String>(3)).unwrap();
        steps.map(|step| step.unwrap()).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn a_page_is_read_from_an_index_in_its_order() {
        let id = VideoId::generate();
        let keys = [
            (VideoOrder::Created, ListKey::Created(UNIX_EPOCH, id)),
            (VideoOrder::Title, ListKey::Title("a".into(), id)),
        ];
        for (order, key) in keys {
            for state in [None, Some(VideoState::Removed)] {
                for after in [None, Some(key.clone())] {
                    let query = ListQuery { state, prefixes: vec![], after, order, limit: 50, looks: 1000 };
                    let plan = plan(&query, None, None);
                    assert!(plan.starts_with("SEARCH v USING INDEX video_s"), "{plan}");
                    assert!(!plan.contains("TEMP B-TREE") && !plan.contains("SCAN"), "{plan}");
                }
            }
        }
    }

    #[test]
    fn common_words_are_looked_up_along_the_list() {
        let prefixes = vec!["sea".to_owned(), "boat".to_owned()];
        let id = VideoId::generate();
        let ends = [
            (VideoOrder::Created, ListKey::Created(UNIX_EPOCH, id)),
            (VideoOrder::Title, ListKey::Title("a".into(), id)),
        ];
        for (order, end) in ends {
            let prefixes = prefixes.clone();
            let query = ListQuery { state: None, prefixes, after: None, order, limit: 50, looks: 1000 };
            let plan = plan(&query, None, Some(&end));
            assert!(plan.starts_with("SEARCH v USING INDEX video_shown_"), "{plan}");
            assert_eq!(
                plan.matches("USING COVERING INDEX word_video (video=? AND word>? AND word<?)").count(),
                2,
                "{plan}"
            );
            assert!(!plan.contains("TEMP B-TREE") && !plan.contains("SCAN"), "{plan}");
        }
    }

    #[test]
    fn only_the_entries_of_a_rare_word_are_looked_at() {
        let prefixes = vec!["sea".to_owned(), "number17".to_owned()];
        for order in [VideoOrder::Created, VideoOrder::Title] {
            let prefixes = prefixes.clone();
            let query = ListQuery { state: None, prefixes, after: None, order, limit: 50, looks: 1000 };
            let plan = plan(&query, Some(1), None);
            assert!(plan.contains("SEARCH word USING PRIMARY KEY (word>? AND word<?)"), "{plan}");
            assert_eq!(plan.matches("SEARCH v USING INTEGER PRIMARY KEY (rowid=?)").count(), 2, "{plan}");
            assert!(!plan.contains("SCAN v") && !plan.contains("USING INDEX video_"), "{plan}");
        }
    }

    #[test]
    fn the_rarest_word_is_known_from_a_few_entries() {
        let folder = tempfile::tempdir().unwrap();
        let mut connection = schema::connect(&folder.path().join("x.db")).unwrap();
        schema::migrate(&mut connection).unwrap();
        let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
            INSERT INTO word SELECT 'sea', i FROM n UNION ALL SELECT 'boat' || i, i FROM n";
        connection.execute_batch(fill).unwrap();
        let rare = |words: &[&str]| {
            let prefixes = words.iter().map(ToString::to_string).collect();
            let order = VideoOrder::Created;
            let query = ListQuery { state: None, prefixes, after: None, order, limit: 50, looks: usize::MAX };
            rare(&connection, &query).unwrap()
        };
        assert_eq!(rare(&[]), None);
        assert_eq!(rare(&["boat", "sea"]), None, "all are common");
        assert_eq!(rare(&["boat17", "sea"]), Some(0));
        assert_eq!(rare(&["boat1", "boat17", "sea"]), Some(1));
        assert_eq!(rare(&["sea", "nobody"]), Some(1));
    }
}
