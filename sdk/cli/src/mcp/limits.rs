//! How much of something a model gets to read at once.

/// Of each output stream of a command or of code, unless the call says otherwise.
pub(super) const OUTPUT: usize = 16 * 1024;
/// Most of a text that may be asked for at once.
pub(super) const MOST: usize = 256 * 1024;
/// Of a listing, in entries.
pub(super) const ENTRIES: usize = 500;
/// Of a picture or another value that is not text, in its encoded form.
pub(super) const VALUE: usize = 1024 * 1024;

/// Bytes to keep, as asked for or the usual number.
pub(super) fn wanted(asked: Option<usize>) -> usize {
    asked.unwrap_or(OUTPUT).clamp(1, MOST)
}

/// A text that keeps its beginning and its end, where errors usually are.
#[derive(Debug, Default)]
pub(super) struct Kept {
    head: String,
    tail: String,
    limit: usize,
    pub(super) total: usize,
}

impl Kept {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    pub(super) fn push(&mut self, text: &str) {
        self.total += text.len();
        let room = (self.limit / 2).saturating_sub(self.head.len());
        let split = if self.tail.is_empty() { boundary(text, room) } else { 0 };
        self.head.push_str(&text[..split]);
        self.tail.push_str(&text[split..]);
        // Cut now and then, not at every text.
        if self.tail.len() > 2 * self.limit {
            self.cut();
        }
    }

    fn cut(&mut self) {
        let half = self.limit - self.limit / 2;
        if self.tail.len() > half {
            let mut from = self.tail.len() - half;
            while !self.tail.is_char_boundary(from) {
                from += 1;
            }
            self.tail.drain(..from);
        }
    }

    pub(super) fn is_cut(&self) -> bool {
        self.total > self.limit
    }

    /// The text, with a mark where something is missing.
    pub(super) fn finish(mut self) -> String {
        if !self.is_cut() {
            return self.head + &self.tail;
        }
        self.cut();
        let missing = self.total - self.head.len() - self.tail.len();
        format!("{}\n[… {missing} bytes left out …]\n{}", self.head, self.tail)
    }
}

/// The longest beginning of at most `limit` bytes that ends between two characters.
pub(super) fn boundary(text: &str, limit: usize) -> usize {
    let mut end = limit.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(limit: usize, texts: &[&str]) -> String {
        let mut kept = Kept::new(limit);
        texts.iter().for_each(|text| kept.push(text));
        kept.finish()
    }

    #[test]
    fn short_texts_stay_whole_and_long_ones_keep_both_ends() {
        assert_eq!(kept(10, &["01234", "56789"]), "0123456789");
        assert_eq!(kept(10, &["0123456789", "abcdefghij"]), "01234\n[… 10 bytes left out …]\nfghij");
        let many: Vec<String> = (0..1000).map(|number| format!("{number:04}\n")).collect();
        let text = kept(100, &many.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(text.starts_with("0000\n0001\n") && text.ends_with("0998\n0999\n"), "{text}");
        assert!(text.contains("[… 4900 bytes left out …]"), "{text}");
    }

    #[test]
    fn no_character_is_cut_in_two() {
        let text = kept(11, &[&"ü".repeat(50)]);
        assert!(text.starts_with("üü\n") && text.ends_with("\nüüü"), "{text}");
        assert_eq!(boundary("aü", 2), 1);
    }
}
