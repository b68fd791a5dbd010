//! `Content-Digest` (RFC 9530 §2): a dictionary of sums (RFC 8941 §3.2), of which CRC-32C is ours.

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use http::HeaderMap;
use vidstream_proto::error::Problem;

/// The field's name.
pub const CONTENT_DIGEST: &str = "content-digest";

/// RFC 8941 §4.2.7: parsers accept base64 without its padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The CRC-32C that a request says its content has, as `Content-Digest: crc32c=:BASE64:`, four bytes in network order.
pub fn crc32c(headers: &HeaderMap) -> Result<u32, Problem> {
    let wrong = |text: &str| Problem::field(CONTENT_DIGEST, text);
    let mut found = None;
    for value in headers.get_all(CONTENT_DIGEST) {
        let text = value.to_str().map_err(|_| wrong("is not plain text"))?;
        // Neither base64 nor a key has a comma.
        for member in text.split(',') {
            let (key, sum) = member.trim().split_once('=').ok_or_else(|| wrong("must be like crc32c=:BASE64:"))?;
            if key == "crc32c" {
                found = Some(sum);
            }
        }
    }
    let sum = found.ok_or_else(|| wrong("crc32c=:BASE64: is missing; each chunk carries its CRC-32C"))?;
    let sum = sum.split(';').next().unwrap_or(sum).trim_end();
    let base64 = sum.strip_prefix(':').and_then(|sum| sum.strip_suffix(':'));
    let bytes = base64.and_then(|base64| BASE64.decode(base64).ok()).and_then(|bytes| bytes.try_into().ok());
    bytes.map(u32::from_be_bytes).ok_or_else(|| wrong("crc32c must be four bytes as :BASE64:"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn parse(values: &[&'static str]) -> Result<u32, Problem> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CONTENT_DIGEST, HeaderValue::from_static(value));
        }
        crc32c(&headers)
    }

    /// RFC 3720 B.4: 32 bytes of zeros have the CRC-32C 8a9136aa.
    #[test]
    fn a_sum_is_found_among_others() {
        for values in [
            &["crc32c=:ipE2qg==:"][..],
            &["crc32c=:ipE2qg:"],
            &["sha-256=:AA==:, crc32c=:ipE2qg==:;p=1"],
            &["sha-256=:AA==:", "crc32c=:ipE2qg==:"],
            &["crc32c=:AAAAAA==:, crc32c=:ipE2qg==:"],
        ] {
            assert_eq!(parse(values).expect("a sum"), 0x8A91_36AA, "{values:?}");
        }
    }

    #[test]
    fn what_is_no_sum_is_named() {
        for values in [
            &[][..],
            &[""],
            &["crc32c"],
            &["sha-256=:AA==:"],
            &["crc32c=ipE2qg=="],
            &["crc32c=:ipE2qg==:x"],
            &["crc32c=:ipE2:"],
            &["crc32c=:ipE2qgAA:"],
            &["crc32c=:!!!!!!==:"],
            &["CRC32C=:ipE2qg==:"],
        ] {
            assert_eq!(parse(values).expect_err("no sum").fields[0].field, CONTENT_DIGEST, "{values:?}");
        }
    }
}
