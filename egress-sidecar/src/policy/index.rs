//! Finding the first rule about a name without looking at all of them.

use std::collections::HashMap;

use super::Target;

/// Targets by name, each with its place in the list; addresses are left out.
#[derive(Debug, Clone, Default)]
pub struct Index {
    exact: HashMap<Box<str>, usize>,
    below: HashMap<Box<str>, usize>,
}

impl Index {
    /// The first of equal targets stands for all of them.
    #[must_use]
    pub fn new<'a>(targets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut index = Self::default();
        for (at, text) in targets.into_iter().enumerate() {
            match Target::parse(text) {
                Target::Name(name) => drop(index.exact.entry(name.into()).or_insert(at)),
                Target::Below(name) => drop(index.below.entry(name.into()).or_insert(at)),
                Target::Block(_) | Target::Nothing => {}
            }
        }
        index
    }

    /// Place of the first target about `name`, which is in lower case and has no last dot.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<usize> {
        let mut first = self.exact.get(name).copied();
        let mut rest = name;
        while let Some((_, parent)) = rest.split_once('.').filter(|_| !self.below.is_empty()) {
            if let Some(at) = self.below.get(parent) {
                first = Some(first.map_or(*at, |first| first.min(*at)));
            }
            rest = parent;
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::is_below;

    #[test]
    fn the_first_of_several_decides() {
        let index = Index::new(["*.b.c", "a.b.c", "*.c", "1.2.3.4", "c", "A.B.C."]);
        assert_eq!(index.first("a.b.c"), Some(0));
        assert_eq!(index.first("b.c"), Some(2));
        assert_eq!(index.first("c"), Some(4));
        assert_eq!(index.first("d"), None);
        assert_eq!(index.first("xb.c"), Some(2));
    }

    proptest! {
        #[test]
        fn it_finds_what_a_search_one_by_one_finds(
            targets in prop::collection::vec("(\\*\\.)?[ab](\\.[ab]){0,3}", 0..12),
            name in "[ab](\\.[ab]){0,4}",
        ) {
            let matches = |target: &String| match Target::parse(target) {
                Target::Name(exact) => exact == name,
                Target::Below(suffix) => is_below(&name, &suffix),
                _ => false,
            };
            let index = Index::new(targets.iter().map(String::as_str));
            prop_assert_eq!(index.first(&name), targets.iter().position(matches));
        }
    }
}
