//! Pages of lists.

use super::super::{ListKey, ListPage, ListQuery, Result};
use super::{feed, limit, nanos, videos};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use vidstream_proto::pb::VideoOrder;

pub(super) fn page(c: &Connection, query: &ListQuery) -> Result<ListPage> {
    let position = feed::state(c)?.latest;
    let (sql, values) = statement(query);
    let mut page = c.prepare_cached(&sql)?;
    let rows = page.query_map(params_from_iter(values), videos::raw)?;
    let entries = rows.map(|row| Ok(row?.decode()?.entry)).collect::<Result<_>>()?;
    Ok(ListPage { entries, position })
}

/// The statement of a list and what is bound to it: filter and order lie in one index, each asked prefix is a range of
/// another.
fn statement(query: &ListQuery) -> (String, Vec<Value>) {
    let mut values = vec![];
    let mut sql = format!("SELECT {} FROM video v WHERE ", videos::COLUMNS);
    match query.state {
        None => sql.push_str("v.shown = 1"),
        Some(state) => {
            sql.push_str("v.state = ?");
            values.push(Value::from(i32::from(state)));
        }
    }
    for prefix in &query.prefixes {
        sql.push_str(" AND v.number IN (SELECT video FROM word WHERE word >= ? AND word < ?)");
        values.push(Value::from(prefix.clone()));
        // No word holds the last code point, so this is behind every word with the prefix.
        values.push(Value::from(format!("{prefix}\u{10ffff}")));
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
    sql.push_str(match query.order {
        VideoOrder::Title => " ORDER BY v.title, v.id LIMIT ?",
        VideoOrder::Created | VideoOrder::Unspecified => " ORDER BY v.created DESC, v.id DESC LIMIT ?",
    });
    values.push(Value::from(limit(query.limit)));
    (sql, values)
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::*;
    use std::time::UNIX_EPOCH;
    use vidstream_proto::ids::VideoId;
    use vidstream_proto::pb::VideoState;

    fn plan(query: &ListQuery) -> String {
        let folder = tempfile::tempdir().unwrap();
        let mut connection = schema::connect(&folder.path().join("x.db")).unwrap();
        schema::migrate(&mut connection).unwrap();
        let (sql, values) = statement(query);
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
                    let plan = plan(&ListQuery { state, prefixes: vec![], after, order, limit: 50 });
                    assert!(plan.starts_with("SEARCH v USING INDEX video_s"), "{plan}");
                    assert!(!plan.contains("TEMP B-TREE") && !plan.contains("SCAN"), "{plan}");
                }
            }
        }
    }

    #[test]
    fn a_word_is_a_range_of_an_index() {
        let prefixes = vec!["sea".to_owned(), "boat".to_owned()];
        for order in [VideoOrder::Created, VideoOrder::Title] {
            let plan = plan(&ListQuery { state: None, prefixes: prefixes.clone(), after: None, order, limit: 50 });
            assert_eq!(plan.matches("SEARCH word USING PRIMARY KEY (word>? AND word<?)").count(), 2, "{plan}");
            assert!(!plan.contains("SCAN v") && !plan.contains("SCAN word"), "{plan}");
        }
    }
}
