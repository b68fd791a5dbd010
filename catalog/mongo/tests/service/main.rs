//! The whole service through the contract's client, over the store on a real server: those of the catalog's own tests that need no
//! clock of their own, because answers that come over a connection take real time.
#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

#[path = "../../../tests/service/bus.rs"]
#[expect(dead_code, reason = "a bus that is away is of the tests of the feed")]
mod bus;
#[path = "../../../tests/service/lists.rs"]
mod lists;
mod place;
#[path = "../../../tests/service/requests.rs"]
mod requests;
#[path = "../../../tests/service/world.rs"]
#[expect(dead_code, reason = "what the other tests of the catalog ask of it")]
mod world;
