//! How services run and talk: channels to other services, the in-process transport, callers and permissions, servers,
//! lifecycle, telemetry. Knows nothing of videos.

pub mod caller;
pub mod channel;
pub mod client;
pub mod clock;
pub mod in_process;
pub mod layers;
pub mod lifecycle;
pub mod reflection;
mod reread;
pub mod serve;
pub mod telemetry;
pub mod tls;
pub mod token;
