use crate::image::error::ImageError;

/// Longest path in a layer, and longest component, as the kernel has them.
const MAX_PATH: usize = 4095;
const MAX_NAME: usize = 255;

/// A path relative to the layer's root: no leading slash, no empty, `.` or `..` component, no NUL.
/// The empty path is the root itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(in crate::image) struct CleanPath(Vec<u8>);

impl CleanPath {
    /// An absolute path is meant relative to the layer, as every engine takes it; `..` is never accepted.
    pub(in crate::image) fn new(raw: &[u8]) -> Result<Self, ImageError> {
        let refuse = |reason: &str| Err(ImageError::UnsafePath { path: shown(raw), reason: reason.into() });
        if raw.len() > MAX_PATH {
            return refuse("the path is too long");
        }
        if raw.contains(&0) {
            return refuse("the path contains a NUL byte");
        }
        let mut clean = Vec::with_capacity(raw.len());
        for component in raw.split(|&b| b == b'/') {
            match component {
                b"" | b"." => {}
                b".." => return refuse("the path contains \"..\""),
                name if name.len() > MAX_NAME => return refuse("a component of the path is too long"),
                name => {
                    if !clean.is_empty() {
                        clean.push(b'/');
                    }
                    clean.extend_from_slice(name);
                }
            }
        }
        Ok(Self(clean))
    }

    pub(in crate::image) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Directory and name; `None` for the root.
    pub(in crate::image) fn split(&self) -> Option<(&[u8], &[u8])> {
        match self.0.iter().rposition(|&b| b == b'/') {
            Some(slash) => Some((&self.0[..slash], &self.0[slash + 1..])),
            None if self.0.is_empty() => None,
            None => Some((b"", &self.0)),
        }
    }
}

pub(in crate::image) fn shown(path: &[u8]) -> String {
    const SHOWN: usize = 200;
    String::from_utf8_lossy(&path[..path.len().min(SHOWN)]).escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(raw: &str) -> Option<String> {
        CleanPath::new(raw.as_bytes()).ok().map(|p| String::from_utf8(p.0).unwrap())
    }

    #[test]
    fn paths_are_relative_to_the_layer() {
        assert_eq!(clean("./a/b/").as_deref(), Some("a/b"));
        assert_eq!(clean("/etc//passwd").as_deref(), Some("etc/passwd"));
        assert_eq!(clean("./").as_deref(), Some(""));
        for bad in ["..", "../a", "a/../b", "a/..", "/..", "a\0b", &"x".repeat(256), &"x/".repeat(3000)] {
            assert_eq!(clean(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_last_name_is_split_off() {
        assert_eq!(CleanPath::new(b"a/b/c").unwrap().split(), Some((&b"a/b"[..], &b"c"[..])));
        assert_eq!(CleanPath::new(b"a").unwrap().split(), Some((&b""[..], &b"a"[..])));
        assert_eq!(CleanPath::new(b"/").unwrap().split(), None);
    }

    proptest::proptest! {
        #[test]
        fn what_is_accepted_stays_beneath(raw: Vec<u8>) {
            if let Ok(path) = CleanPath::new(&raw) {
                let path = path.as_bytes();
                assert!(!path.starts_with(b"/"));
                assert!(path.is_empty() || path.split(|&b| b == b'/').all(|c| !matches!(c, b"" | b"." | b"..")));
            }
        }
    }
}
