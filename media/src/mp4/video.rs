//! Visual sample entries (ISO/IEC 14496-12 §12.1.3) of the codecs that are carried.

use super::boxes::Node;
use super::entry::{Entry, EntryError, Picture, RawEntry};
use crate::codec::{Codec, foreign};
use crate::index::IgnoredCause;
use crate::indexer::IndexError;
use crate::track::Colour;

/// Bytes of a visual sample entry before its boxes.
const FIXED: usize = 78;

pub(super) fn read(entry: &RawEntry<'_>) -> Result<Entry, EntryError> {
    let node = &entry.node;
    let mut fields = node.fields();
    fields.skip(24)?;
    let (width, height) = (fields.u16()?, fields.u16()?);
    fields.skip(FIXED - 28)?;
    if width == 0 || height == 0 {
        return Err(entry.ignored(IgnoredCause::Configuration, format!("its pictures have a size of {width}×{height}")));
    }
    let mut picture = Picture { width, height, sample_aspect: None, colour: None };
    let mut configuration = None;
    let wanted = configuration_box(entry.kind.0);
    for child in node.children_from(FIXED) {
        let child = child?;
        match &child.kind.0 {
            kind if *kind == wanted && configuration.is_none() => configuration = Some(child.open(node)),
            b"pasp" => picture.sample_aspect = aspect(&child.open(node))?,
            b"colr" if picture.colour.is_none() => picture.colour = colour(&child.open(node))?,
            _ => {}
        }
    }
    if foreign::is_picture(&entry.kind.0) {
        let entry = [&entry.kind.0[..], node.body.get(FIXED..).unwrap_or_default()].concat();
        return Ok(Entry::Video(Codec::Foreign { entry }, picture));
    }
    let Some(configuration) = configuration else {
        return Err(entry.ignored(IgnoredCause::Configuration, "its decoder configuration is missing"));
    };
    let codec = codec(entry, &configuration)?;
    picture.colour = codec.colour().or(picture.colour);
    Ok(Entry::Video(codec, picture))
}

fn configuration_box(kind: [u8; 4]) -> [u8; 4] {
    match &kind {
        b"hvc1" | b"hev1" => *b"hvcC",
        b"vp09" => *b"vpcC",
        b"av01" => *b"av1C",
        _ => *b"avcC",
    }
}

fn codec(entry: &RawEntry<'_>, configuration: &Node<'_>) -> Result<Codec, EntryError> {
    let bytes = configuration.body.to_vec();
    let lacks =
        |what: &str| entry.ignored(IgnoredCause::Configuration, format!("its decoder configuration lacks {what}"));
    match &entry.kind.0 {
        b"hvc1" | b"hev1" => {
            hevc_parameter_sets(configuration)?;
            Ok(Codec::Hevc { hvcc: bytes })
        }
        b"vp09" => match bytes.first() {
            Some(1) if bytes.len() >= 10 => Ok(Codec::Vp9 { vpcc: bytes }),
            _ => Err(lacks("a version that is known")),
        },
        b"av01" => match bytes.first() {
            Some(0x81) if bytes.len() >= 4 => Ok(Codec::Av1 { av1c: bytes }),
            _ => Err(lacks("a version that is known")),
        },
        _ => {
            h264_parameter_sets(configuration)?;
            Ok(Codec::H264 { avcc: bytes })
        }
    }
}

/// Checks that `avcC` (ISO/IEC 14496-15 §5.3.3.1) is whole.
fn h264_parameter_sets(avcc: &Node<'_>) -> Result<(), IndexError> {
    let mut fields = avcc.fields();
    let [version, _, _, _, _] = fields.array()?;
    if version != 1 {
        return Err(avcc.malformed(0, format!("unknown version {version}")));
    }
    for mask in [0x1f, 0xff] {
        for _ in 0..fields.u8()? & mask {
            let length = fields.u16()?;
            fields.skip(length.into())?;
        }
    }
    Ok(())
}

/// Checks that `hvcC` (ISO/IEC 14496-15 §8.3.3.1) is whole.
fn hevc_parameter_sets(hvcc: &Node<'_>) -> Result<(), IndexError> {
    let mut fields = hvcc.fields();
    fields.skip(22)?;
    for _ in 0..fields.u8()? {
        fields.skip(1)?;
        for _ in 0..fields.u16()? {
            let length = fields.u16()?;
            fields.skip(length.into())?;
        }
    }
    Ok(())
}

/// `pasp` (§12.1.4.2); none if it says nothing.
fn aspect(pasp: &Node<'_>) -> Result<Option<(u32, u32)>, IndexError> {
    let mut fields = pasp.fields();
    let (horizontal, vertical) = (fields.u32()?, fields.u32()?);
    Ok((horizontal > 0 && vertical > 0).then_some((horizontal, vertical)))
}

/// `colr` (§12.1.5) with code points; none for ICC profiles.
fn colour(colr: &Node<'_>) -> Result<Option<Colour>, IndexError> {
    let mut fields = colr.fields();
    let kind: [u8; 4] = fields.array()?;
    if &kind != b"nclx" && &kind != b"nclc" {
        return Ok(None);
    }
    let (primaries, transfer, matrix) = (fields.u16()?, fields.u16()?, fields.u16()?);
    let full_range = &kind == b"nclx" && fields.u8()? & 0x80 != 0;
    Ok(Some(Colour { primaries, transfer, matrix, full_range }))
}
