//! Values that have a form of their own.

pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("is not NAME=VALUE")?;
    if name.is_empty() { Err("has no name".to_owned()) } else { Ok((name.to_owned(), value.to_owned())) }
}

pub(super) fn ports(text: &str) -> Result<(u16, u16), String> {
    let port = |text: &str| text.parse::<u16>().map_err(|_| format!("{text:?} is not a port"));
    let (local, remote) = match text.split_once(':') {
        Some((local, remote)) => (port(local)?, port(remote)?),
        None => (port(text)?, port(text)?),
    };
    if remote == 0 { Err("0 is not a port of a sandbox".to_owned()) } else { Ok((local, remote)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_one_or_two() {
        assert_eq!(ports("80"), Ok((80, 80)));
        assert_eq!(ports("0:80"), Ok((0, 80)));
        for text in ["", "a", "80:", "70000", "0", "1:0", "1:2:3"] {
            assert!(ports(text).is_err(), "{text}");
        }
    }

    #[test]
    fn pairs_keep_further_equals_signs() {
        assert_eq!(pair("A=b=c"), Ok(("A".to_owned(), "b=c".to_owned())));
        assert!(pair("A").is_err() && pair("=b").is_err());
    }
}
