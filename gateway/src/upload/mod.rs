//! Uploads: pieces over a stream, chunks by unary call or `PUT`, and completion.

mod digest;
