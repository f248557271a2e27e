//! How long a sandbox lives.

use std::time::Duration;

use crate::api::error::ApiError;

const LEAST_SECONDS: u64 = 60;
/// A thousand years; later dates have no place in a calendar that clients can read.
const MOST_SECONDS: u64 = 1000 * 365 * 86_400;

/// `None` never expires.
pub(super) fn check(seconds: Option<i64>, longest: Option<u64>) -> Result<Option<Duration>, ApiError> {
    let Some(asked) = seconds else { return Ok(None) };
    let invalid = |problem: String| Err(ApiError::invalid("timeout", problem));
    let seconds = u64::try_from(asked).unwrap_or(0);
    let longest = longest.unwrap_or(MOST_SECONDS).min(MOST_SECONDS);
    if seconds < LEAST_SECONDS {
        invalid(format!("must be at least {LEAST_SECONDS} seconds, or null to never expire; is {asked}"))
    } else if seconds > longest {
        invalid(format!("must be at most {longest} seconds, is {asked}"))
    } else {
        Ok(Some(Duration::from_secs(seconds)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds() {
        assert_eq!(check(None, None).unwrap(), None);
        assert_eq!(check(Some(60), Some(60)).unwrap(), Some(Duration::from_secs(60)));
        assert!(check(Some(59), None).is_err());
        assert!(check(Some(61), Some(60)).is_err());
        assert!(check(Some(i64::MAX), None).is_err());
        assert!(check(Some(i64::MIN), None).is_err());
    }
}
