use chrono::{DateTime, NaiveDateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use utoipa::ToSchema;

/// When the sandbox should expire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RenewSandboxExpirationRequest {
    /// A moment in the future; without a zone it is taken as UTC.
    #[serde(deserialize_with = "date_time")]
    pub expires_at: DateTime<Utc>,
}

/// When the sandbox will expire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RenewSandboxExpirationResponse {
    pub expires_at: DateTime<Utc>,
}

fn date_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_date_time(&text).ok_or_else(|| {
        D::Error::custom(format_args!(
            "expected an RFC 3339 date-time such as 2030-01-31T12:00:00Z, got {text:?}"
        ))
    })
}

fn parse_date_time(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(zoned) = DateTime::parse_from_rfc3339(text) {
        return Some(zoned.to_utc());
    }
    ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .map(|naive| naive.and_utc())
}

#[cfg(test)]
mod tests {
    use super::parse_date_time;

    #[test]
    fn zones_are_converted_and_a_missing_one_is_utc() {
        let utc = parse_date_time("2030-01-31T12:00:00Z");
        assert!(utc.is_some());
        assert_eq!(parse_date_time("2030-01-31T13:00:00+01:00"), utc);
        assert_eq!(parse_date_time("2030-01-31T12:00:00"), utc);
        assert_eq!(parse_date_time("2030-01-31T12:00:00.000000"), utc);
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "tomorrow", "2030-01-31", "2030-02-31T12:00:00Z", "1700000000"] {
            assert_eq!(parse_date_time(text), None, "{text}");
        }
    }
}
