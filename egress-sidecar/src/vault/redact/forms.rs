//! Texts a secret may come back as, beside what escapes make of it.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

/// A shorter piece of Base64 could be anything.
const SHORTEST_CODED: usize = 8;

/// The text, and what else it may be written as, in Base64 too.
pub(super) fn of(text: &str, with_coded: bool) -> Vec<String> {
    let mut forms = vec![text.to_owned()];
    if text.contains(' ') {
        // As forms write it.
        forms.push(text.replace(' ', "+"));
    }
    forms.extend(credentials(text));
    if with_coded {
        forms.extend((0..3).flat_map(|before| coded(text, before)));
    }
    forms
}

/// User and password, and the latter alone, of what HTTP calls basic credentials.
fn credentials(text: &str) -> Vec<String> {
    let decoded = STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let Some(decoded) = decoded.filter(|text| !text.contains(char::is_control)) else { return Vec::new() };
    match decoded.split_once(':') {
        Some((_, password)) => vec![password.to_owned(), decoded],
        None => Vec::new(),
    }
}

/// The text in both kinds of Base64, with this many bytes before it: only the digits that depend on nothing else.
fn coded(text: &str, before: usize) -> [String; 2] {
    let bytes = [&[0; 2][..before], text.as_bytes()].concat();
    let (first, end) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
    let cut = |coded: String| coded.get(first..end).unwrap_or_default().to_owned();
    let both = [cut(STANDARD_NO_PAD.encode(&bytes)), cut(URL_SAFE_NO_PAD.encode(&bytes))];
    both.map(|coded| if coded.len() < SHORTEST_CODED { String::new() } else { coded })
}
