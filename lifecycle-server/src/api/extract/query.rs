//! Query parameters.

use std::{convert::Infallible, ops::RangeInclusive};

use axum::{
    extract::FromRequestParts,
    http::{Uri, request::Parts},
};

use crate::api::error::ApiError;

/// The query's parameters, decoded, in order. Unknown ones are ignored by never being asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.uri))
    }
}

impl Query {
    pub(crate) fn of(uri: &Uri) -> Self {
        Self::parse(uri.query().unwrap_or_default())
    }

    fn parse(query: &str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// Every value of a parameter that may repeat.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The value of a parameter; the last one counts if it repeats.
    pub(crate) fn one(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A whole number within `range`.
    pub(crate) fn number(
        &self,
        name: &str,
        range: RangeInclusive<u32>,
        default: u32,
    ) -> Result<u32, ApiError> {
        let Some(text) = self.one(name) else { return Ok(default) };
        text.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
            let bounds = match *range.end() {
                u32::MAX => format!("of at least {}", range.start()),
                end => format!("from {} to {end}", range.start()),
            };
            ApiError::invalid(name, format_args!("must be a whole number {bounds}, is {text:?}"))
        })
    }

    /// A boolean as the contract's clients write it.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, ApiError> {
        match self.one(name).map(str::to_ascii_lowercase).as_deref() {
            None => Ok(false),
            Some("true" | "1" | "yes" | "on" | "t" | "y") => Ok(true),
            Some("false" | "0" | "no" | "off" | "f" | "n") => Ok(false),
            Some(text) => Err(ApiError::invalid(name, format_args!("must be true or false, is {text:?}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_may_repeat() {
        let query = Query::parse("state=Running&state=Pen%64ing&metadata=a%3Db&empty=&x");
        assert_eq!(query.all("state").collect::<Vec<_>>(), ["Running", "Pending"]);
        assert_eq!(query.one("metadata"), Some("a=b"));
        assert_eq!((query.one("empty"), query.one("x"), query.one("none")), (Some(""), Some(""), None));
    }

    #[test]
    fn numbers_keep_their_bounds() {
        let number = |text: &str| Query::parse(text).number("pageSize", 1..=200, 20);
        assert_eq!(number("").unwrap(), 20);
        assert_eq!(number("pageSize=200").unwrap(), 200);
        for text in ["pageSize=0", "pageSize=201", "pageSize=-1", "pageSize=x", "pageSize=", "pageSize=1.5"] {
            assert!(number(text).unwrap_err().message.starts_with("pageSize: must be"), "{text}");
        }
    }

    #[test]
    fn flags() {
        assert!(Query::parse("f=True").flag("f").unwrap());
        assert!(!Query::parse("f=0").flag("f").unwrap());
        assert!(!Query::parse("").flag("f").unwrap());
        assert!(Query::parse("f=maybe").flag("f").is_err());
    }
}
