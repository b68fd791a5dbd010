//! Settings of the catalog.

use std::time::Duration;

/// How long things are kept, and how often is looked after them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// How long a removed video can be restored where the caller does not say.
    pub purge_after: Duration,
    /// Between two passes that repair what a crash left out.
    pub sweep_interval: Duration,
    /// A lease whose beat did not change for so long is dead.
    pub lease_death: Duration,
    /// How long tombstones stay in the feed: a watcher that was away for longer lists again.
    pub tombstones_kept: Duration,
    /// How long the first answer of a request is remembered.
    pub requests_kept: Duration,
    /// An open upload that brought no byte for so long is given up: its video is removed for good.
    pub upload_expiry: Duration,
    /// Between two looks at the feed when no notice came.
    pub feed_interval: Duration,
    /// Between two copies of an upload's progress into its row.
    pub received_interval: Duration,
    /// Between two batches of what viewers report.
    pub views_interval: Duration,
    /// Between two looks for garbage in the object store.
    pub garbage_interval: Duration,
    /// How long a write of an object may take until it is recorded; a little older ones that nothing refers to are garbage.
    pub write_deadline: Duration,
    /// What garbage is older than a write deadline: what a slow clock or a slow listing may cost, many times over.
    pub garbage_margin: Duration,
    /// Put leased jobs back into the queue at start: right where the workers lived in the same process.
    pub free_leases_at_start: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            purge_after: Duration::from_hours(24),
            sweep_interval: Duration::from_secs(30),
            lease_death: Duration::from_secs(30),
            tombstones_kept: Duration::from_hours(24),
            requests_kept: Duration::from_hours(48),
            upload_expiry: Duration::from_hours(7 * 24),
            feed_interval: Duration::from_secs(2),
            received_interval: Duration::from_secs(1),
            views_interval: Duration::from_secs(5),
            garbage_interval: Duration::from_hours(6),
            write_deadline: Duration::from_mins(1),
            garbage_margin: Duration::from_mins(5),
            free_leases_at_start: false,
        }
    }
}
