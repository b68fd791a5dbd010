//! Codings that no player takes and that ffmpeg decodes: what is in files of years ago, and of cameras.

/// Types of sample entries, what people call the coding, and ffmpeg's decoders.
const PICTURES: [(&[u8; 4], &str, &str); 28] = [
    (b"mp4v", "MPEG-4 Part 2 video", "mpeg4,mpeg2video,mpeg1video,mjpeg"),
    (b"xvid", "MPEG-4 Part 2 video", "mpeg4"),
    (b"XVID", "MPEG-4 Part 2 video", "mpeg4"),
    (b"divx", "MPEG-4 Part 2 video", "mpeg4"),
    (b"DIVX", "MPEG-4 Part 2 video", "mpeg4"),
    (b"s263", "H.263 video", "h263"),
    (b"h263", "H.263 video", "h263"),
    (b"H263", "H.263 video", "h263"),
    (b"jpeg", "JPEG video", "mjpeg"),
    (b"mjpg", "JPEG video", "mjpeg"),
    (b"MJPG", "JPEG video", "mjpeg"),
    (b"mjpa", "JPEG video", "mjpeg"),
    (b"mjpb", "JPEG video", "mjpegb"),
    (b"AVDJ", "JPEG video", "mjpeg"),
    (b"dmb1", "JPEG video", "mjpeg"),
    (b"apco", "ProRes video", "prores"),
    (b"apcs", "ProRes video", "prores"),
    (b"apcn", "ProRes video", "prores"),
    (b"apch", "ProRes video", "prores"),
    (b"ap4h", "ProRes video", "prores"),
    (b"ap4x", "ProRes video", "prores"),
    (b"AVdn", "DNxHD video", "dnxhd"),
    (b"AVdh", "DNxHD video", "dnxhd"),
    (b"cvid", "Cinepak video", "cinepak"),
    (b"SVQ1", "Sorenson video", "svq1"),
    (b"SVQ3", "Sorenson video", "svq3"),
    (b"vp08", "VP8 video", "vp8,libvpx"),
    (b"m2v1", "MPEG-2 video", "mpeg2video"),
];

/// The same of sound whose sample entry is that of the standard.
const SOUND: [(&[u8; 4], &str, &str); 3] =
    [(b"alac", "Apple Lossless sound", "alac"), (b"samr", "AMR sound", "amrnb"), (b"sawb", "AMR sound", "amrwb")];

fn find(kind: [u8; 4]) -> Option<&'static (&'static [u8; 4], &'static str, &'static str)> {
    PICTURES.iter().chain(&SOUND).find(|(known, _, _)| **known == kind)
}

/// Whether pictures of this sample entry are one.
pub fn is_picture(kind: &[u8; 4]) -> bool {
    PICTURES.iter().any(|(known, _, _)| *known == kind)
}

/// Whether sound of this sample entry is one.
pub fn is_sound(kind: &[u8; 4]) -> bool {
    SOUND.iter().any(|(known, _, _)| *known == kind)
}

/// What people call the coding.
pub fn name(kind: &[u8; 4]) -> Option<&'static str> {
    find(*kind).map(|(_, name, _)| *name)
}

/// Names of ffmpeg's decoders, joined by commas.
pub fn decoders(kind: &[u8; 4]) -> Option<&'static str> {
    find(*kind).map(|(_, _, decoders)| *decoders)
}
