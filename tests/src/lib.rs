//! Tests of the whole: the binaries, driven as people drive them and judged by tools that are not ours.
//!
//! Everything is in `tests/system`, one binary.
