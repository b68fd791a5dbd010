//! Pages of lists.

use super::super::{ListKey, ListPage, ListQuery, Result};
use super::{feed, limit, nanos, videos};
use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};
use vidstream_proto::pb::VideoOrder;

/// Entries that are read and sorted, at the most, before it is cheaper to walk along the list and look at the words of each
/// entry. Walking to a page of `p` in `n` videos of which `c` have the word reads `p·n/c` entries, sorting reads `c`: with
/// pages of 50 the two meet at 2,200 for a library of 100,000.
const COMMON: usize = 2000;

pub(super) fn page(c: &Connection, query: &ListQuery) -> Result<ListPage> {
    let position = feed::state(c)?.latest;
    let (sql, values) = statement(query, rare(c, &query.prefixes)?);
    let mut page = c.prepare_cached(&sql)?;
    let rows = page.query_map(params_from_iter(values), videos::raw)?;
    let entries = rows.map(|row| Ok(row?.decode()?.entry)).collect::<Result<_>>()?;
    Ok(ListPage { entries, position })
}

/// The rarest of the asked words, by its place, if it is not a common one.
fn rare(c: &Connection, prefixes: &[String]) -> Result<Option<usize>> {
    let mut count =
        c.prepare_cached("SELECT COUNT(*) FROM (SELECT 1 FROM word WHERE word >= ? AND word < ? LIMIT ?)")?;
    let mut rarest = None;
    let mut fewest = COMMON;
    for (at, prefix) in prefixes.iter().enumerate() {
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

/// The statement of a list and what is bound to it. Filter and order lie in one index, which is walked along; each asked
/// word of an entry is looked up in another. With a `rare` word its entries alone are looked at, and their keys sorted.
fn statement(query: &ListQuery, rare: Option<usize>) -> (String, Vec<Value>) {
    let mut values = vec![];
    // With a plus a column is no reason to use its index: a rare word's entries are found by their numbers.
    let mut sql = if rare.is_some() { "+".to_owned() } else { String::new() };
    match query.state {
        None => sql.push_str("v.shown = 1"),
        Some(state) => {
            sql.push_str("v.state = ?");
            values.push(Value::from(i32::from(state)));
        }
    }
    for (at, prefix) in query.prefixes.iter().enumerate() {
        sql.push_str(if rare == Some(at) {
            " AND v.number IN (SELECT video FROM word WHERE word >= ? AND word < ?)"
        } else {
            " AND EXISTS (SELECT 1 FROM word w WHERE w.video = v.number AND w.word >= ? AND w.word < ?)"
        });
        values.extend([Value::from(prefix.clone()), Value::from(behind(prefix))]);
    }
    match &query.after {
        None => {}
        Some(ListKey::Created(created, id)) => {
            sql.push_str(" AND (v.created, v.id) < (?, ?)");
            values.extend([Value::from(nanos(*created)), Value::from(id.as_uuid().as_bytes().to_vec())]);
        }
        Some(ListKey::Title(title, id)) => {
            sql.push_str(" AND (v.title, v.id) > (?, ?)");
            values.extend([Value::from(title.clone()), Value::from(id.as_uuid().as_bytes().to_vec())]);
        }
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

    fn plan(query: &ListQuery, rare: Option<usize>) -> String {
        let folder = tempfile::tempdir().unwrap();
        let mut connection = schema::connect(&folder.path().join("x.db")).unwrap();
        schema::migrate(&mut connection).unwrap();
        let (sql, values) = statement(query, rare);
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
                    let plan = plan(&ListQuery { state, prefixes: vec![], after, order, limit: 50 }, None);
                    assert!(plan.starts_with("SEARCH v USING INDEX video_s"), "{plan}");
                    assert!(!plan.contains("TEMP B-TREE") && !plan.contains("SCAN"), "{plan}");
                }
            }
        }
    }

    #[test]
    fn common_words_are_looked_up_along_the_list() {
        let prefixes = vec!["sea".to_owned(), "boat".to_owned()];
        for order in [VideoOrder::Created, VideoOrder::Title] {
            let query = ListQuery { state: None, prefixes: prefixes.clone(), after: None, order, limit: 50 };
            let plan = plan(&query, None);
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
            let query = ListQuery { state: None, prefixes: prefixes.clone(), after: None, order, limit: 50 };
            let plan = plan(&query, Some(1));
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
        let rare =
            |words: &[&str]| rare(&connection, &words.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
        assert_eq!(rare(&[]), None);
        assert_eq!(rare(&["boat", "sea"]), None, "all are common");
        assert_eq!(rare(&["boat17", "sea"]), Some(0));
        assert_eq!(rare(&["boat1", "boat17", "sea"]), Some(1));
        assert_eq!(rare(&["sea", "nobody"]), Some(1));
    }
}
