//! What people call the codings and kinds of tracks that are not played.

/// The name of a sample entry's coding.
pub(super) fn sample_entry(kind: [u8; 4]) -> Option<&'static str> {
    Some(match &kind {
        b"tmcd" => "timecode",
        b"mebx" | b"metx" | b"mett" | b"urim" | b"gpmd" | b"camm" | b"djmd" | b"dbgi" | b"rtmd" | b"fdsc" => {
            "timed metadata"
        }
        b"text" | b"tx3g" | b"wvtt" | b"stpp" | b"c608" | b"c708" | b"sbtl" | b"stxt" | b"mp4s" => {
            "a subtitle or text track"
        }
        b"rtp " | b"srtp" | b"hint" | b"rrtp" => "a hint track",
        b"sowt" | b"twos" | b"raw " | b"NONE" | b"lpcm" | b"ipcm" | b"fpcm" | b"in24" | b"in32" | b"fl32" | b"fl64" => {
            "uncompressed sound (PCM)"
        }
        b"ulaw" | b"alaw" => "G.711 sound",
        b"ima4" | b"ms\0\x02" | b"ms\0\x11" => "ADPCM sound",
        b"ac-3" | b"sac3" => "AC-3 sound",
        b"ec-3" => "E-AC-3 sound",
        b"ac-4" => "AC-4 sound",
        b"mlpa" => "TrueHD sound",
        b"dtsc" | b"dtsh" | b"dtsl" | b"dtse" | b"dtsx" => "DTS sound",
        b".mp3" | b"mp3 " | b"ms\0\x55" | b".mp2" => "MP3 sound",
        b"alac" => "Apple Lossless sound",
        b"samr" | b"sawb" | b"sawp" => "AMR sound",
        b"Qclp" | b"sqcp" | b"QDM2" | b"QDMC" => "QDesign or QCELP sound",
        b"apac" => "Apple positional sound",
        b"mha1" | b"mha2" | b"mhm1" | b"mhm2" => "MPEG-H sound",
        b"iamf" => "IAMF sound",
        b"jpeg" | b"mjpa" | b"mjpb" | b"mjpg" | b"MJPG" | b"AVDJ" | b"dmb1" => "JPEG picture coding",
        b"png " => "PNG picture coding",
        b"mp4v" | b"xvid" | b"XVID" | b"divx" | b"DIVX" => "MPEG-4 Part 2 video",
        b"s263" | b"h263" | b"H263" => "H.263 video",
        b"apco" | b"apcs" | b"apcn" | b"apch" | b"ap4h" | b"ap4x" | b"aprn" | b"aprh" => "ProRes video",
        b"AVdn" | b"AVdh" => "DNxHD video",
        b"CFHD" => "CineForm video",
        b"cvid" => "Cinepak video",
        b"SVQ1" | b"SVQ3" => "Sorenson video",
        b"vp08" => "VP8 video",
        b"vvc1" | b"vvi1" => "VVC video",
        b"dvh1" | b"dvhe" | b"dva1" | b"dvav" | b"dav1" => "Dolby Vision without a compatible layer",
        b"hvc2" | b"hev2" | b"lhv1" | b"lhe1" | b"mvc1" | b"svc1" => "layered video",
        b"rle " | b"rpza" | b"smc " => "QuickTime graphics",
        b"2vuy" | b"yuv2" | b"v210" | b"uncv" => "uncompressed video",
        _ => return None,
    })
}

/// The name of a handler (`hdlr`) whose tracks are never played.
pub(super) fn handler(kind: [u8; 4]) -> Option<&'static str> {
    Some(match &kind {
        b"tmcd" => "timecode",
        b"meta" | b"camm" | b"odsm" | b"sdsm" => "timed metadata",
        b"text" | b"sbtl" | b"subt" | b"clcp" | b"subp" => "a subtitle or text track",
        b"hint" => "a hint track",
        b"pict" => "a picture",
        _ => return None,
    })
}

/// Names that tools give every track: they tell people nothing.
const TOOL_NAMES: [&str; 6] = ["handle", "core media", "iso media file", "produced by", "mainconcept", "l-smash"];

/// A track's name, if it is one that a person may have given.
pub(crate) fn given(bytes: &[u8], quicktime: bool) -> Option<String> {
    const LONGEST: usize = 200;
    let bytes = match bytes.split_first() {
        // A Pascal string; a name that merely begins with a low byte is none.
        Some((&len, rest)) if quicktime && usize::from(len) <= rest.len() => &rest[..usize::from(len)],
        _ => bytes,
    };
    let text = String::from_utf8_lossy(bytes.split(|&b| b == 0).next().unwrap_or_default());
    let text: String = text.chars().filter(|c| !c.is_control() && *c != '\u{fffd}').take(LONGEST).collect();
    let text = text.trim();
    let lower = text.to_lowercase();
    let says_nothing = ["", "video", "audio", "sound", "vide", "soun"].contains(&lower.as_str());
    (!says_nothing && !TOOL_NAMES.iter().any(|tool| lower.contains(tool))).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tools_are_not_names() {
        assert_eq!(given(b"VideoHandler\0", false), None);
        assert_eq!(given(b"\x10Core Media Audio", true), None);
        assert_eq!(given(b"ISO Media file produced by Google Inc.\0", false), None);
        assert_eq!(given(b"\0", false), None);
        assert_eq!(given(b"Director's comments\0", false).as_deref(), Some("Director's comments"));
        assert_eq!(given(b"\x05Stuff", true).as_deref(), Some("Stuff"));
        assert_eq!(given(b"a\x07b\xff\0", false).as_deref(), Some("ab"));
    }
}
