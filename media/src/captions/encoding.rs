//! What the bytes of a text file say.

use super::CaptionsError;

/// The text, its lines ended by `\n` alone. Zeros, which no line has any use for, become the mark of what can't be read
/// (W3C WebVTT §6.1).
pub(super) fn text(file: &[u8]) -> Result<String, CaptionsError> {
    let text = match file {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes)?,
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes)?,
        _ => {
            let wrong = |error: std::str::Utf8Error| CaptionsError::Encoding { at: error.valid_up_to() };
            let text = std::str::from_utf8(file).map_err(wrong)?;
            text.strip_prefix('\u{feff}').unwrap_or(text).to_owned()
        }
    };
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' => {
                chars.next_if_eq(&'\n');
                out.push('\n');
            }
            '\0' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    Ok(out)
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, CaptionsError> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(CaptionsError::Utf16);
    }
    let units = pairs.iter().map(|pair| unit(*pair));
    char::decode_utf16(units).collect::<Result<_, _>>().map_err(|_| CaptionsError::Utf16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_any_common_encoding_is_read() {
        assert_eq!(text("a\r\nb\rc\0é".as_bytes()), Ok("a\nb\nc\u{fffd}é".to_owned()));
        assert_eq!(text("\u{feff}é".as_bytes()), Ok("é".to_owned()));
        assert_eq!(text(&[0xff, 0xfe, b'a', 0, 0x3d, 0xd8, 0x00, 0xde]), Ok("a😀".to_owned()));
        assert_eq!(text(&[0xfe, 0xff, 0, b'a', 0x20, 0xac]), Ok("a€".to_owned()));
    }

    #[test]
    fn what_is_no_text_says_so() {
        assert_eq!(text(b"caf\xe9"), Err(CaptionsError::Encoding { at: 3 }));
        assert_eq!(text(&[0xff, 0xfe, b'a']), Err(CaptionsError::Utf16));
        assert_eq!(text(&[0xff, 0xfe, 0x3d, 0xd8]), Err(CaptionsError::Utf16));
    }
}
