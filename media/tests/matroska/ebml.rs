//! Files of Matroska put together by hand.

/// An element: its ID, a size of eight bytes, its body.
pub fn element(id: u32, body: &[u8]) -> Vec<u8> {
    let size = (body.len() as u64 | 1 << 56).to_be_bytes();
    [&header(id)[..], &size, body].concat()
}

/// An element whose size is not known.
pub fn endless(id: u32, body: &[u8]) -> Vec<u8> {
    [&header(id)[..], &[0xff], body].concat()
}

/// An ID without the zeros before it.
pub fn header(id: u32) -> Vec<u8> {
    let bytes = id.to_be_bytes();
    bytes[id.leading_zeros() as usize / 8..].to_vec()
}

pub fn number(id: u32, value: u64) -> Vec<u8> {
    element(id, &value.to_be_bytes())
}

pub fn float(id: u32, value: f64) -> Vec<u8> {
    element(id, &value.to_be_bytes())
}

pub fn joined(parts: &[Vec<u8>]) -> Vec<u8> {
    parts.concat()
}

/// The file's own header.
pub fn head(kind: &str) -> Vec<u8> {
    element(0x1a45_dfa3, &element(0x4282, kind.as_bytes()))
}

/// `TrackEntry` of stereo Opus, with more in it.
pub fn opus(track: u64, more: &[u8]) -> Vec<u8> {
    let private = [&b"OpusHead"[..], &[1, 2, 0x38, 1, 0x80, 0xbb, 0, 0, 0, 0, 0]].concat();
    let sound = element(0xe1, &joined(&[float(0xb5, 48_000.0), number(0x9f, 2)]));
    let parts = [number(0xd7, track), number(0x83, 2), element(0x86, b"A_OPUS"), element(0x63a2, &private), sound];
    element(0xae, &[joined(&parts), more.to_vec()].concat())
}

/// `TrackEntry` of H.264 of 64×64, with more in it.
pub fn h264(track: u64, more: &[u8]) -> Vec<u8> {
    let avcc = [1, 0x64, 0, 0x1f, 0xff, 0xe1, 0, 1, 0x67, 1, 0, 1, 0x68];
    let picture = element(0xe0, &joined(&[number(0xb0, 64), number(0xba, 64)]));
    let parts =
        [number(0xd7, track), number(0x83, 1), element(0x86, b"V_MPEG4/ISO/AVC"), element(0x63a2, &avcc), picture];
    element(0xae, &[joined(&parts), more.to_vec()].concat())
}

/// `Info` with ticks of so many nanoseconds.
pub fn info(scale: u64) -> Vec<u8> {
    element(0x1549_a966, &number(0x2a_d7b1, scale))
}

pub fn tracks(entries: &[Vec<u8>]) -> Vec<u8> {
    element(0x1654_ae6b, &joined(entries))
}

pub fn cluster(time: u64, blocks: &[Vec<u8>]) -> Vec<u8> {
    element(0x1f43_b675, &[number(0xe7, time), joined(blocks)].concat())
}

/// A `SimpleBlock`: `flags` of `0x80` for a keyframe, `2`, `4`, `6` for the kinds of lacing.
pub fn block(track: u8, time: i16, flags: u8, body: &[u8]) -> Vec<u8> {
    element(0xa3, &raw_block(track, time, flags, body))
}

pub fn raw_block(track: u8, time: i16, flags: u8, body: &[u8]) -> Vec<u8> {
    let [high, low] = time.to_be_bytes();
    [&[0x80 | track, high, low, flags], body].concat()
}

/// A packet of Opus of 20 ms.
pub fn packet(size: usize) -> Vec<u8> {
    [vec![0xfc], vec![0x55; size - 1]].concat()
}

/// A file of `segment`'s parts.
pub fn file(parts: &[Vec<u8>]) -> Vec<u8> {
    [head("matroska"), element(0x1853_8067, &joined(parts))].concat()
}
