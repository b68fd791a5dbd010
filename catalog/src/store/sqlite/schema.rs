//! The tables and their history.
//!
//! Rows are messages of the contract (`row`); beside them stand the columns that are searched by. Times are nanoseconds
//! since 1970, ids 16 bytes.

use super::super::{Result, StoreError};
use super::sources;
use rusqlite::Connection;
use std::path::Path;
use std::time::Duration;

/// Brings the tables from one version to the next one.
struct Migration {
    sql: &'static str,
    /// What SQL can't do, because it is in the messages.
    then: fn(&Connection) -> Result<()>,
}

/// By the version that they begin with. Never change one that was released.
const MIGRATIONS: [Migration; 4] = [
    Migration { sql: include_str!("001_first.sql"), then: |_| Ok(()) },
    Migration { sql: include_str!("002_views.sql"), then: |_| Ok(()) },
    Migration { sql: include_str!("003_makers.sql"), then: sources::fill_outdated },
    Migration { sql: include_str!("004_claims.sql"), then: |_| Ok(()) },
];

/// Opens a connection with our settings.
pub(super) fn connect(path: &Path) -> Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    // FULL: a commit is answered only after the log is synced. The log is cut back after a burst.
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 16777216;
         PRAGMA temp_store = MEMORY;",
    )?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(connection)
}

/// Brings the tables to this version's form.
pub(super) fn migrate(connection: &mut Connection) -> Result<()> {
    let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = MIGRATIONS.len();
    if found as usize > known {
        return Err(StoreError::Corrupt(format!("it has version {found}, this program knows up to {known}")));
    }
    for (version, migration) in (1u32..).zip(&MIGRATIONS).skip(found as usize) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(migration.sql)?;
        (migration.then)(&transaction)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_catalog_is_brought_up_to_date() {
        let folder = tempfile::tempdir().unwrap();
        let mut connection = connect(&folder.path().join("x.db")).unwrap();
        connection.execute_batch(MIGRATIONS[0].sql).unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
        connection
            .execute_batch(
                "INSERT INTO video VALUES (1, x'00', x'00', 1, 1, 3, 1, 0, 'a', NULL, NULL, 1, NULL, 0, x'');",
            )
            .unwrap();
        migrate(&mut connection).unwrap();
        let views: i64 = connection.query_row("SELECT views FROM video", [], |row| row.get(0)).unwrap();
        assert_eq!(views, 0);
        migrate(&mut connection).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(migrate(&mut connection), Err(StoreError::Corrupt(_))), "a newer one is left alone");
    }
}
