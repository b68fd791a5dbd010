//! Languages: from what `mdhd` and `elng` hold to BCP 47 tags.

/// ISO 639-2 codes that have a code of two letters, which BCP 47 prefers (RFC 5646 §2.2.1): three letters, then two.
/// Bibliographic codes are there beside the terminological ones.
const TWO_LETTERS: &str = "aaraa abkab afraf akaak albsq amham araar argan armhy asmas avaav aveae aymay azeaz bakba \
    bambm baqeu belbe benbn bihbh bisbi bodbo bosbs brebr bulbg burmy catca cescs chach chece chizh chucu chvcv corkw \
    cosco crecr cymcy czecs danda deude divdv dutnl dzodz ellel engen epoeo estet euseu eweee faofo fasfa fijfj finfi \
    frafr frefr fryfy fulff geoka gerde glagd glega glggl glvgv greel grngn gujgu hatht hauha hebhe herhz hinhi hmoho \
    hrvhr hunhu hyehy iboig iceis idoio iiiii ikuiu ileie inaia indid ipkik islis itait javjv jpnja kalkl kankn kasks \
    katka kaukr kazkk khmkm kikki kinrw kirky komkv konkg korko kuakj kurku laolo latla lavlv limli linln litlt ltzlb \
    lublu luglg macmk mahmh malml maomi marmr mayms mkdmk mlgmg mltmt monmn mrimi msams myamy nauna navnv nblnr ndend \
    ndong nepne nldnl nnonn nobnb norno nyany ocioc ojioj orior ormom ossos panpa perfa plipi polpl porpt pusps quequ \
    rohrm ronro rumro runrn rusru sagsg sansa sinsi slksk slosk slvsl smese smosm snasn sndsd somso sotst spaes sqisq \
    srdsc srpsr sswss sunsu swasw swesv tahty tamta tatta telte tgktg tgltl thath tibbo tirti tonto tsntn tsots tuktk \
    turtr twitw uigug ukruk urdur uzbuz venve vievi volvo welcy wlnwa wolwo xhoxh yidyi yoryo zhaza zhozh zulzu";

/// Languages by `QuickTime` (Macintosh) language code, as far as they are alive and sure.
const MACINTOSH: [&str; 34] = [
    "en", "fr", "de", "it", "nl", "sv", "es", "da", "pt", "no", "he", "ja", "ar", "fi", "el", "is", "mt", "tr", "hr",
    "zh-Hant", "ur", "hi", "th", "ko", "lt", "pl", "hu", "et", "lv", "se", "fo", "fa", "ru", "zh-Hans",
];

/// The tag for the 16 bits of `mdhd`; none for `und`, nothing and what cannot be a language.
pub(crate) fn from_packed(code: u16, quicktime: bool) -> Option<String> {
    if code < 0x400 {
        // Only QuickTime files mean a Macintosh code by it; elsewhere it is a field left empty.
        return quicktime.then(|| MACINTOSH.get(usize::from(code))).flatten().map(|&tag| tag.to_owned());
    }
    let letter = |shift: u16| u8::try_from((code >> shift) & 31).ok().map(|letter| char::from(letter + 0x60));
    let letters: String = [letter(10)?, letter(5)?, letter(0)?].into_iter().collect();
    from_letters(&letters)
}

/// The tag for a code of three letters (ISO 639-2, either form), which may be followed by a country as old Matroska files
/// have it; none for `und`, nothing and what cannot be a language.
pub(crate) fn from_code(code: &str) -> Option<String> {
    from_letters(code.split('-').next().unwrap_or_default())
}

fn from_letters(letters: &str) -> Option<String> {
    if letters.len() != 3
        || !letters.bytes().all(|b| b.is_ascii_lowercase())
        || ["und", "mis", "mul", "zxx"].contains(&letters)
    {
        return None;
    }
    let short = TWO_LETTERS.split_whitespace().find_map(|pair| pair.strip_prefix(letters));
    Some(short.unwrap_or(letters).to_owned())
}

/// The tag in an `elng` box (ISO/IEC 14496-12 §8.4.6), if it has the form of one.
pub(crate) fn from_extended(bytes: &[u8]) -> Option<String> {
    let text = bytes.split(|&b| b == 0).next().unwrap_or_default();
    let well_formed = |part: &[u8]| (1..=8).contains(&part.len()) && part.iter().all(u8::is_ascii_alphanumeric);
    if text.len() > 35 || !text.split(|&b| b == b'-').all(well_formed) || !text[0].is_ascii_alphabetic() {
        return None;
    }
    let tag = String::from_utf8(text.to_vec()).ok()?;
    (tag != "und").then_some(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(code: &str) -> u16 {
        code.bytes().fold(0, |sum, b| sum << 5 | u16::from(b - 0x60))
    }

    #[test]
    fn shortest_tags() {
        let tag = |code| from_packed(packed(code), false);
        assert_eq!(tag("eng").as_deref(), Some("en"));
        assert_eq!(tag("ger").as_deref(), Some("de"));
        assert_eq!(tag("deu").as_deref(), Some("de"));
        assert_eq!(tag("gsw").as_deref(), Some("gsw"));
        assert_eq!(tag("und"), None);
        assert_eq!(from_packed(0, false), None);
        assert_eq!(from_packed(0, true).as_deref(), Some("en"));
        assert_eq!(from_packed(0x7fff, true), None);
    }

    #[test]
    fn every_row_of_the_table_has_five_letters() {
        for pair in TWO_LETTERS.split_whitespace() {
            assert!(pair.len() == 5 && pair.bytes().all(|b| b.is_ascii_lowercase()), "{pair}");
        }
    }

    #[test]
    fn extended_tags_are_checked() {
        assert_eq!(from_extended(b"pt-BR\0").as_deref(), Some("pt-BR"));
        assert_eq!(from_extended(b"und\0"), None);
        for bad in [&b""[..], b"\0", b"en--US\0", b"<script>\0", b"1\0", b"en-\xff\0"] {
            assert_eq!(from_extended(bad), None, "{bad:?}");
        }
    }
}
