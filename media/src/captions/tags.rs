//! Texts of cues: what WebVTT can say of them is kept (W3C WebVTT §4.2.2), all else becomes plain text or goes.

use super::time;

/// Whose way of writing it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Dialect {
    /// Unknown tags are no text.
    WebVtt,
    /// `<i>`, `<b>`, `<u>`; `<font>`, `<s>` and `{\…}` are dropped; any other `<` is text.
    SubRip,
}

/// More tags within each other are left out.
const DEEPEST: usize = 16;

/// `text` as WebVTT has it: tags closed in their order, everything else escaped, no empty line.
pub(super) fn kept(text: &str, dialect: Dialect) -> String {
    let mut writer = Writer { out: String::with_capacity(text.len() + 16), open: Vec::new() };
    let mut rest = text.trim();
    while let Some(c) = rest.chars().next() {
        let used = match c {
            '<' => tag(rest, dialect, &mut writer),
            '{' if dialect == Dialect::SubRip => override_len(rest),
            '&' => entity(rest, &mut writer),
            _ => None,
        };
        let used = used.unwrap_or_else(|| {
            writer.text(c);
            c.len_utf8()
        });
        rest = &rest[used..];
    }
    while let Some(name) = writer.open.pop() {
        writer.close(name);
    }
    without_empty_lines(&writer.out)
}

struct Writer {
    out: String,
    /// Elements that are open, the innermost last.
    open: Vec<&'static str>,
}

impl Writer {
    fn text(&mut self, c: char) {
        match c {
            '&' => self.out.push_str("&amp;"),
            '<' => self.out.push_str("&lt;"),
            '>' => self.out.push_str("&gt;"),
            '\n' | '\t' => self.out.push(c),
            c if c.is_control() => {}
            c => self.out.push(c),
        }
    }

    fn texts(&mut self, text: &str) {
        text.chars().for_each(|c| self.text(c));
    }

    fn close(&mut self, name: &str) {
        self.out.extend(["</", name, ">"]);
    }

    /// Closes the innermost `name` and what is open within.
    fn end(&mut self, name: &str) {
        let Some(at) = self.open.iter().rposition(|open| *open == name) else { return };
        for inner in self.open.split_off(at).into_iter().rev() {
            self.close(inner);
        }
    }
}

/// Elements of WebVTT: which may have a text behind their name, which only such as SubRip has too.
const ELEMENTS: &[&str] = &["c", "i", "b", "u", "ruby", "rt", "v", "lang"];
const ANNOTATED: &[&str] = &["v", "lang"];
const OF_SUBRIP: &[&str] = &["i", "b", "u"];
/// Tags of SubRip that say nothing here.
const DROPPED: &[&str] = &["font", "s", "strike", "strong", "em"];

/// Takes the tag at the start of `rest`; how long it is, or none where it is text.
fn tag(rest: &str, dialect: Dialect, writer: &mut Writer) -> Option<usize> {
    let inner = &rest[1..];
    // Looked for no further than the next beginning, so that all of them together cost one pass.
    let len = inner.find(['<', '>']).filter(|at| inner[*at..].starts_with('>'))?;
    let (inner, used) = (&inner[..len], len + 2);
    let (closing, inner) = inner.strip_prefix('/').map_or((false, inner), |rest| (true, rest));
    let name_len = inner.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(inner.len());
    let (name, behind) = inner.split_at(name_len);
    let known = |names: &[&'static str]| names.iter().copied().find(|known| known.eq_ignore_ascii_case(name));
    match dialect {
        Dialect::WebVtt => {
            if !closing && name.starts_with(|c: char| c.is_ascii_digit()) {
                if let Some(time) = time::parsed(inner) {
                    writer.out.extend(["<", &time::written(time), ">"]);
                }
            } else if let Some(name) = known(ELEMENTS) {
                element(name, behind, closing, writer);
            }
            Some(used)
        }
        Dialect::SubRip => {
            if let Some(name) = known(OF_SUBRIP) {
                element(name, "", closing, writer);
            } else if name.eq_ignore_ascii_case("br") {
                writer.text('\n');
            } else {
                known(DROPPED)?;
            }
            Some(used)
        }
    }
}

fn element(name: &'static str, behind: &str, closing: bool, writer: &mut Writer) {
    if closing {
        return writer.end(name);
    }
    if writer.open.len() == DEEPEST || (name == "rt" && writer.open.last() != Some(&"ruby")) {
        return;
    }
    let (classes, annotation) = match behind.find(char::is_whitespace) {
        Some(at) => (&behind[..at], behind[at..].trim()),
        None => (behind, ""),
    };
    writer.out.extend(["<", name]);
    for class in classes.split('.').filter(|class| is_class(class)) {
        writer.out.extend([".", class]);
    }
    let annotation: String = annotation.chars().filter(|c| !c.is_control()).collect();
    // Nothing may end in what makes an arrow of the bracket.
    let annotation = annotation.trim_matches(|c: char| c.is_whitespace() || c == '-');
    if ANNOTATED.contains(&name) && !annotation.is_empty() {
        writer.out.push(' ');
        writer.texts(annotation);
    }
    writer.out.push('>');
    writer.open.push(name);
}

fn is_class(class: &str) -> bool {
    !class.is_empty()
        && !class.ends_with('-')
        && class.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// How long the `{\…}` at the start of `rest` is, which players of SubRip take from ASS.
fn override_len(rest: &str) -> Option<usize> {
    let inner = rest.strip_prefix("{\\")?;
    inner.find(['{', '}']).filter(|at| inner[*at..].starts_with('}')).map(|at| at + 3)
}

/// Takes the character reference at the start of `rest`; how long it is, or none where `&` is text.
fn entity(rest: &str, writer: &mut Writer) -> Option<usize> {
    /// `&nbsp;`, `&#1114111;`
    const LONGEST: usize = 10;
    let end = rest.bytes().take(LONGEST).position(|b| b == b';')?;
    let name = &rest[1..end];
    match name {
        "amp" => writer.text('&'),
        "lt" => writer.text('<'),
        "gt" => writer.text('>'),
        "quot" => writer.text('"'),
        "nbsp" => writer.text('\u{a0}'),
        "lrm" => writer.text('\u{200e}'),
        "rlm" => writer.text('\u{200f}'),
        _ => {
            let code = match name.strip_prefix('#')?.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16),
                None => name[1..].parse(),
            };
            writer.text(char::from_u32(code.ok()?)?);
        }
    }
    Some(end + 1)
}

/// An empty line ends a cue, so it has none.
fn without_empty_lines(text: &str) -> String {
    let lines = text.split('\n').map(str::trim).filter(|line| !line.is_empty());
    lines.fold(String::new(), |mut out, line| {
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(line);
        out
    })
}
