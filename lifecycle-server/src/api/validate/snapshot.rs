//! What a snapshot may be called.

use sandkeep_specs::lifecycle::CreateSnapshotRequest;

use crate::api::error::ApiError;

const MAX_NAME: usize = 255;

pub(in crate::api) fn snapshot_name(request: CreateSnapshotRequest) -> Result<Option<String>, ApiError> {
    match request.name {
        Some(name) if name.trim().is_empty() => Err(ApiError::invalid("name", "must not be empty")),
        Some(name) if name.chars().count() > MAX_NAME => {
            Err(ApiError::invalid("name", format_args!("must be at most {MAX_NAME} characters")))
        }
        Some(name) if name.chars().any(char::is_control) => {
            Err(ApiError::invalid("name", "must not contain control characters"))
        }
        name => Ok(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_optional_but_never_empty() {
        let check =
            |name: Option<&str>| snapshot_name(CreateSnapshotRequest { name: name.map(str::to_owned) });
        assert_eq!(check(None).unwrap(), None);
        assert_eq!(check(Some("after set-up")).unwrap().as_deref(), Some("after set-up"));
        for bad in ["", " ", "a\nb", &"x".repeat(256)] {
            assert!(check(Some(bad)).is_err(), "{bad:?}");
        }
    }
}
