//! Checks of single fields, shared by the mirrors: each names the field in its error.

use crate::error::Problem;
use std::str::FromStr;

/// An id.
pub fn id<T: FromStr<Err = Problem>>(field: &str, text: &str) -> Result<T, Problem> {
    if text.is_empty() {
        return Err(Problem::field(field, "is missing"));
    }
    text.parse().map_err(|problem: Problem| Problem::field(field, problem.message))
}

/// An id that may be left out.
pub fn optional_id<T: FromStr<Err = Problem>>(field: &str, text: &str) -> Result<Option<T>, Problem> {
    if text.is_empty() { Ok(None) } else { id(field, text).map(Some) }
}

/// A text of `min..=max` characters without control characters (line breaks and tabs are allowed).
pub fn text(field: &str, text: &str, min: usize, max: usize) -> Result<String, Problem> {
    let length = text.chars().count();
    if length < min || length > max {
        return Err(Problem::field(field, format!("must have {min} to {max} characters, has {length}")));
    }
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        return Err(Problem::field(field, "must not contain control characters"));
    }
    Ok(text.to_owned())
}

/// A message that must be there.
pub fn present<T>(field: &str, value: Option<T>) -> Result<T, Problem> {
    value.ok_or_else(|| Problem::field(field, "is missing"))
}

/// Empty, or a BLAKE3 sum.
pub fn blake3(field: &str, bytes: &[u8]) -> Result<Option<[u8; 32]>, Problem> {
    if bytes.is_empty() {
        return Ok(None);
    }
    bytes.try_into().map(Some).map_err(|_| Problem::field(field, format!("must have 32 bytes, has {}", bytes.len())))
}
