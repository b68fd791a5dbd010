//! The harness of tests and benches: servers and people of a test's own, clips, and judges that are not ours.
//!
//! The tests themselves are in `tests/system`, one binary.

pub mod balancer;
pub mod clips;
pub mod dice;
pub mod judges;
pub mod processes;
pub mod proxy;
pub mod server;
pub mod vidctl;
