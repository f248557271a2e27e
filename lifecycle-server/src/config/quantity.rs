//! Amounts as people write them: `512Mi`, `2g`, `500m`.

use std::str::FromStr;

use serde::{Deserialize, Deserializer, de::Error};

/// A number of bytes, or of thousandths of a CPU, written with a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quantity(String);

/// What is wrong with a quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    #[error("expected a positive number of CPUs such as \"2\", \"0.5\" or \"500m\", got {0:?}")]
    Cpu(String),
    #[error(
        "expected a positive whole number of bytes with an optional unit (k, Ki, M, Mi, G, Gi, T, Ti), got {0:?}"
    )]
    Bytes(String),
    #[error("expected a positive whole number, got {0:?}")]
    Count(String),
    #[error("{0:?} is more than any machine has")]
    TooLarge(String),
}

/// CPUs beyond this are a typing error, and would overflow a quota.
const MAX_CPU_MILLIS: u64 = 1_000_000 * 1000;
/// 8 EiB, what the kernel's counters hold.
const MAX_BYTES: u64 = i64::MAX as u64;

impl Quantity {
    pub fn gibibytes(count: u32) -> Self {
        Self(format!("{count}Gi"))
    }

    pub fn mebibytes(count: u32) -> Self {
        Self(format!("{count}Mi"))
    }

    pub fn bytes(&self) -> Result<u64, QuantityError> {
        bytes(&self.0)
    }

    pub fn cpu_millis(&self) -> Result<u64, QuantityError> {
        cpu_millis(&self.0)
    }
}

impl FromStr for Quantity {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Raw {
            Number(u64),
            Text(String),
        }
        match Raw::deserialize(deserializer)
            .map_err(|_| D::Error::custom("expected a number or a text with a unit"))?
        {
            Raw::Number(number) => Ok(Self(number.to_string())),
            Raw::Text(text) => Ok(Self(text)),
        }
    }
}

/// Thousandths of a CPU in `500m`, `2` or `0.5`.
pub fn cpu_millis(text: &str) -> Result<u64, QuantityError> {
    let malformed = || QuantityError::Cpu(text.to_owned());
    let trimmed = text.trim();
    let millis = match trimmed.strip_suffix('m') {
        Some(number) => digits(number).ok_or_else(malformed)?,
        None => {
            let (whole, fraction) = trimmed.split_once('.').unwrap_or((trimmed, "0"));
            let whole = digits(whole).ok_or_else(malformed)?;
            digits(fraction).ok_or_else(malformed)?;
            // Finer than a thousandth is cut off; the kernel's quota is no finer either.
            let thousandths: u128 = format!("{fraction:0<3}")[..3].parse().map_err(|_| malformed())?;
            whole
                .checked_mul(1000)
                .and_then(|millis| millis.checked_add(thousandths))
                .ok_or_else(malformed)?
        }
    };
    match u64::try_from(millis) {
        Ok(0) => Err(malformed()),
        Ok(millis) if millis <= MAX_CPU_MILLIS => Ok(millis),
        _ => Err(QuantityError::TooLarge(text.to_owned())),
    }
}

/// Bytes in `512Mi`, `2g` or `1048576`. Units ignore case; those without `i` are decimal.
pub fn bytes(text: &str) -> Result<u64, QuantityError> {
    let malformed = || QuantityError::Bytes(text.to_owned());
    let trimmed = text.trim();
    let unit_start = trimmed.find(|c: char| !c.is_ascii_digit()).unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(unit_start);
    let number = digits(number).ok_or_else(malformed)?;
    let factor: u128 = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1000,
        "ki" | "kib" => 1 << 10,
        "m" | "mb" => 1_000_000,
        "mi" | "mib" => 1 << 20,
        "g" | "gb" => 1_000_000_000,
        "gi" | "gib" => 1 << 30,
        "t" | "tb" => 1_000_000_000_000,
        "ti" | "tib" => 1 << 40,
        _ => return Err(malformed()),
    };
    match number.checked_mul(factor).map(u64::try_from) {
        Some(Ok(0)) => Err(malformed()),
        Some(Ok(bytes)) if bytes <= MAX_BYTES => Ok(bytes),
        _ => Err(QuantityError::TooLarge(text.to_owned())),
    }
}

/// A positive whole number.
pub fn count(text: &str) -> Result<u64, QuantityError> {
    match digits(text.trim()).map(u64::try_from) {
        Some(Ok(0)) | None => Err(QuantityError::Count(text.to_owned())),
        Some(Ok(count)) => Ok(count),
        Some(Err(_)) => Err(QuantityError::TooLarge(text.to_owned())),
    }
}

fn digits(text: &str) -> Option<u128> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // More digits than fit are as good as the largest number: the caller's bound refuses both.
    Some(text.parse().unwrap_or(u128::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus() {
        for (text, millis) in
            [("500m", 500), ("2", 2000), ("0.5", 500), (" 1.25 ", 1250), ("0.0019", 1), ("1m", 1)]
        {
            assert_eq!(cpu_millis(text), Ok(millis), "{text}");
        }
        for text in ["", "0", "0m", "-1", "1.5m", "m", "one", "1.", ".5", "1e3", "0.0001", "+1"] {
            assert_eq!(cpu_millis(text), Err(QuantityError::Cpu(text.to_owned())), "{text}");
        }
        for text in ["99999999999", "9999999999999999999999999999999999999999m"] {
            assert!(cpu_millis(text).is_err(), "{text}");
        }
    }

    #[test]
    fn byte_counts() {
        for (text, count) in [
            ("1", 1),
            ("64b", 64),
            ("1k", 1000),
            ("1KB", 1000),
            ("1Ki", 1024),
            ("512Mi", 512 << 20),
            ("2g", 2_000_000_000),
            ("2Gi", 2 << 30),
            ("1 Ti", 1 << 40),
        ] {
            assert_eq!(bytes(text), Ok(count), "{text}");
        }
        for text in ["", "0", "0Gi", "-5", "1.5Gi", "Gi", "5X", "1Gii", "٣"] {
            assert_eq!(bytes(text), Err(QuantityError::Bytes(text.to_owned())), "{text}");
        }
        for text in ["99999999999Ti", "340282366920938463463374607431768211456"] {
            assert_eq!(bytes(text), Err(QuantityError::TooLarge(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn counts() {
        assert_eq!(count("100"), Ok(100));
        assert!(count("0").is_err() && count("1k").is_err() && count("").is_err());
    }
}
