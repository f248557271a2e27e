//! Changes of a text that keep every line, and mostly every column, where it was.

use std::ops::Range;

/// Collects changes of a text.
#[derive(Debug)]
pub(super) struct Edits<'t> {
    text: &'t str,
    /// Ranges of bytes and what comes in their place.
    changes: Vec<(Range<usize>, String)>,
}

impl<'t> Edits<'t> {
    /// No changes yet.
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, changes: Vec::new() }
    }

    /// A part of the unchanged text.
    pub(super) fn slice(&self, range: Range<usize>) -> &'t str {
        self.text.get(range).unwrap_or_default()
    }

    /// Replaces a part; line ends that this loses are appended.
    pub(super) fn replace(&mut self, range: Range<usize>, with: &str) {
        let lines = |text: &str| text.matches('\n').count();
        let lost = lines(self.slice(range.clone())).saturating_sub(lines(with));
        self.changes.push((range, with.to_owned() + &"\n".repeat(lost)));
    }

    /// Inserts a text.
    pub(super) fn insert(&mut self, at: usize, text: &str) {
        self.changes.push((at..at, text.to_owned()));
    }

    /// Replaces a part by spaces.
    pub(super) fn blank(&mut self, range: Range<usize>) {
        let spaces = blanked(self.slice(range.clone()));
        self.changes.push((range, spaces));
    }

    /// Replaces statements by an empty one, which still ends the statement before.
    pub(super) fn blank_statement(&mut self, range: Range<usize>) {
        let mut spaces = blanked(self.slice(range.clone()));
        if spaces.starts_with(' ') {
            spaces.replace_range(..1, ";");
        }
        self.changes.push((range, spaces));
    }

    /// Blanks these words, and only them, in a part that has nothing but words, signs and comments.
    pub(super) fn blank_words(&mut self, range: Range<usize>, words: &[&str]) {
        for (at, word) in code_words(self.slice(range.clone())) {
            if words.contains(&word) {
                let start = range.start + at;
                self.blank(start..start + word.len());
            }
        }
    }

    /// The changed text. Of changes that overlap, the one that begins first counts, or else the longest.
    pub(super) fn apply(mut self) -> String {
        self.changes.sort_by_key(|(range, _)| (range.start, !range.is_empty(), usize::MAX - range.end));
        let mut out = String::with_capacity(self.text.len());
        let mut done = 0;
        for (range, with) in &self.changes {
            if range.start >= done {
                out.push_str(self.slice(done..range.start));
                out.push_str(with);
                done = range.end;
            }
        }
        out.push_str(self.slice(done..self.text.len()));
        out
    }
}

/// Spaces that take as much room in the columns that JavaScript counts.
fn blanked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\r' | '\u{2028}' | '\u{2029}' => out.push(character),
            _ => out.extend(std::iter::repeat_n(' ', character.len_utf16())),
        }
    }
    out
}

/// Words, and single other characters, outside of comments, with their places.
fn code_words(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let length = |end: Option<usize>| end.unwrap_or(rest.len());
        let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
        let first = rest.chars().next().unwrap_or_default();
        let step = if rest.starts_with("//") {
            length(rest.find('\n'))
        } else if rest.starts_with("/*") {
            length(rest.find("*/").map(|end| end + 2))
        } else if is_word(first) {
            length(rest.find(|c| !is_word(c)))
        } else {
            first.len_utf8()
        };
        if !rest.starts_with("//") && !rest.starts_with("/*") && !first.is_whitespace() {
            found.push((at, &rest[..step]));
        }
        at += step;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_stay() {
        let text = "let a\u{1F600}:\n T = 1";
        let mut edits = Edits::new(text);
        edits.blank(5..text.find('=').unwrap());
        edits.insert(0, "x");
        assert_eq!(edits.apply(), "xlet a   \n   = 1");
        let mut edits = Edits::new("a\nb\nc");
        edits.replace(0..3, "z");
        edits.blank(2..3);
        assert_eq!(edits.apply(), "z\n\nc");
    }

    #[test]
    fn only_the_named_words_go() {
        let mut edits = Edits::new("private /* private */ static privately? x");
        edits.blank_words(0..39, &["private", "?"]);
        assert_eq!(edits.apply(), "        /* private */ static privately  x");
    }
}
