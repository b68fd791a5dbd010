//! Boxes of ISO BMFF (ISO/IEC 14496-12 §4.2), read for judging: nothing of ours is used.

/// A box: its type and what follows its header.
#[derive(Clone, Copy, Debug)]
pub struct Box<'a> {
    /// Its type.
    pub kind: [u8; 4],
    /// Where its payload starts in what was read.
    pub at: usize,
    /// Its payload.
    pub body: &'a [u8],
}

/// The boxes that `bytes` consist of; an error where the last one is cut off or a size is impossible.
pub fn boxes(bytes: &[u8]) -> Result<Vec<Box<'_>>, String> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let kind = take::<4>(rest, 4)?;
        let (header, size) = match u32::from_be_bytes(take(rest, 0)?) {
            0 => (8, rest.len()),
            1 => (16, usize::try_from(u64::from_be_bytes(take(rest, 8)?)).unwrap_or(usize::MAX)),
            size => (8, usize::try_from(size).unwrap_or(usize::MAX)),
        };
        let body = rest.get(header..size).ok_or_else(|| format!("{} of {size} bytes is cut off", name(kind)))?;
        found.push(Box { kind, at: at + header, body });
        at += size;
    }
    Ok(found)
}

/// The box at `path` below `bytes`, the first of each name.
pub fn find<'a>(bytes: &'a [u8], path: &[&[u8; 4]]) -> Result<Box<'a>, String> {
    let [first, rest @ ..] = path else { return Err("no path".to_owned()) };
    let all = boxes(bytes)?;
    let one = all.into_iter().find(|one| one.kind == **first).ok_or_else(|| format!("no {}", name(**first)))?;
    if rest.is_empty() { Ok(one) } else { find(one.body, rest) }
}

/// The names of the boxes that `bytes` consist of.
pub fn names(bytes: &[u8]) -> Result<Vec<String>, String> {
    Ok(boxes(bytes)?.into_iter().map(|one| name(one.kind)).collect())
}

/// A type as people write it.
pub fn name(kind: [u8; 4]) -> String {
    kind.escape_ascii().to_string()
}

/// `N` bytes at `at`.
pub fn take<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], String> {
    let rest = bytes.get(at..).and_then(|rest| rest.first_chunk());
    rest.copied().ok_or_else(|| format!("{N} bytes at {at} of {}", bytes.len()))
}

/// A number of 16 bits at `at`.
pub fn u16_at(bytes: &[u8], at: usize) -> Result<u16, String> {
    take(bytes, at).map(u16::from_be_bytes)
}

/// A number of 32 bits at `at`.
pub fn u32_at(bytes: &[u8], at: usize) -> Result<u32, String> {
    take(bytes, at).map(u32::from_be_bytes)
}

/// A number of 64 bits at `at`.
pub fn u64_at(bytes: &[u8], at: usize) -> Result<u64, String> {
    take(bytes, at).map(u64::from_be_bytes)
}
