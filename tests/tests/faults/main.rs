//! A whole mesh whose parts are killed, frozen, wiped and filled while people use it. At the end, what they were promised is
//! compared with what is there.
//!
//! Two rounds of each fault, or as many as `FAULTS_ROUNDS` says; `FAULTS_SEED` begins with a round that was seen to fail.

mod backends;
mod between;
mod checker;
mod clients;
mod echo;
mod history;
mod layout;
mod lies;
mod look;
mod mesh;
mod processes;
mod round;
mod twice;
mod unanswered;
