//! Filters of lists and streams.

use crate::api::error::{ApiError, Code};

/// The parameter's value is a query of its own, already decoded once. Every pair counts, also where a key is repeated.
pub(crate) fn metadata_filter(text: &str) -> Result<Vec<(String, String)>, ApiError> {
    if let Some(segment) = text.split('&').find(|segment| !text.is_empty() && !segment.contains('=')) {
        return Err(ApiError::new(
            Code::InvalidMetadataFormat,
            format!("metadata: expected key=value pairs joined by &, found {segment:?}"),
        ));
    }
    Ok(form_urlencoded::parse(text.as_bytes()).into_owned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_filters_are_queries_of_their_own() {
        let filter = metadata_filter("a=1&b=&c=x%3Dy&a=2").unwrap();
        let pairs = [("a", "1"), ("b", ""), ("c", "x=y"), ("a", "2")];
        assert_eq!(filter, pairs.map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert!(metadata_filter("").unwrap().is_empty());
        for text in ["a", "a=1&b", "a=1&&b=2", "&"] {
            assert_eq!(metadata_filter(text).unwrap_err().code, Code::InvalidMetadataFormat, "{text}");
        }
    }
}
