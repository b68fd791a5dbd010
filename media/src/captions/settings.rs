//! Where a cue stands (W3C WebVTT §4.4, cue settings): what is well-formed is kept, regions are not.

/// At the top of the picture.
pub(super) const TOP: &str = "line:0";

/// The settings of a WebVTT cue, each once.
pub(super) fn kept(given: &str) -> String {
    let mut names = Vec::new();
    let mut kept = Vec::new();
    for setting in given.split_ascii_whitespace() {
        let Some((name, value)) = setting.split_once(':') else { continue };
        if let Some(value) = value_of(name, value)
            && !names.contains(&name)
        {
            names.push(name);
            kept.push(format!("{name}:{value}"));
        }
    }
    kept.join(" ")
}

fn value_of<'a>(name: &str, value: &'a str) -> Option<&'a str> {
    let one_of = |values: &[&str]| values.contains(&value).then_some(value);
    let (number, aligned) = value.split_once(',').map_or((value, None), |(number, aligned)| (number, Some(aligned)));
    let aligned = |values: &[&str]| aligned.is_none_or(|aligned| values.contains(&aligned));
    match name {
        "vertical" => one_of(&["rl", "lr"]),
        // What WebVTT wrote before it settled on `center`.
        "align" if value == "middle" => Some("center"),
        "align" => one_of(&["start", "center", "end", "left", "right"]),
        "size" => is_percent(value).then_some(value),
        "position" => (is_percent(number) && aligned(&["line-left", "center", "line-right"])).then_some(value),
        "line" => {
            let fits = is_percent(number) || is_line(number);
            (fits && aligned(&["start", "center", "end"])).then_some(value)
        }
        _ => None,
    }
}

fn is_line(number: &str) -> bool {
    let digits = number.strip_prefix('-').unwrap_or(number);
    (1..=4).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
}

fn is_percent(number: &str) -> bool {
    let Some(number) = number.strip_suffix('%') else { return false };
    let form = number.len() <= 16 && number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let digits = number.starts_with(|c: char| c.is_ascii_digit()) && number.ends_with(|c: char| c.is_ascii_digit());
    form && digits && number.parse().is_ok_and(|percent: f64| percent <= 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_well_formed_is_kept() {
        let given = "line:0 position:10%,line-left align:middle size:50.5% vertical:rl region:fred line:5";
        assert_eq!(kept(given), "line:0 position:10%,line-left align:center size:50.5% vertical:rl");
        let wrong = "line:-->  position:101% size:.5% size:5 align:up vertical:down line:1,up position:5%,up x:y :: a: size:5.%";
        assert_eq!(kept(wrong), "");
        assert_eq!(kept("line:-1,end position:100%"), "line:-1,end position:100%");
    }
}
