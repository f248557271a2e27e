//! Pools.

use sandkeep_specs::lifecycle::{CreatePoolRequest, PoolCapacitySpec};

use super::pod;
use crate::{
    api::error::ApiError,
    sandbox::{Capacity, NewPool},
};

const MAX_NAME: usize = 253;
/// More sandboxes than this fit no host.
const MOST: u32 = 65_536;

pub(in crate::api) fn pool(request: CreatePoolRequest) -> Result<NewPool, ApiError> {
    check_name(&request.name)?;
    let capacity = capacity(request.capacity_spec)?;
    let recipe = pod::recipe(&request.template)?;
    let source = serde_json::to_string(&request.template).map_err(ApiError::internal)?;
    Ok(NewPool { name: request.name, owner: None, recipe, capacity, source })
}

pub(in crate::api) fn capacity(spec: PoolCapacitySpec) -> Result<Capacity, ApiError> {
    let PoolCapacitySpec { buffer_max, buffer_min, pool_max, pool_min } = spec;
    for (name, least, most) in [("bufferM", buffer_min, buffer_max), ("poolM", pool_min, pool_max)] {
        let place = format!("capacitySpec.{name}in");
        if least > most {
            return Err(ApiError::invalid(
                place,
                format_args!("must be at most {name}ax, {most}; is {least}"),
            ));
        }
        if most > MOST {
            return Err(ApiError::invalid(
                format_args!("capacitySpec.{name}ax"),
                format_args!("must be at most {MOST}"),
            ));
        }
    }
    Ok(Capacity { buffer_max, buffer_min, pool_max, pool_min })
}

fn check_name(name: &str) -> Result<(), ApiError> {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_sound = !name.is_empty()
        && name.len() <= MAX_NAME
        && name.bytes().all(is_inner)
        && !name.starts_with('-')
        && !name.ends_with('-');
    if is_sound {
        return Ok(());
    }
    let problem = "lower-case letters, digits and '-', with a letter or digit at both ends";
    Err(ApiError::invalid("name", format_args!("must be 1 to {MAX_NAME} {problem}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_labels() {
        for name in ["a", "a-b", "0", &"x".repeat(253)] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", "-a", "a-", "A", "a.b", "a_b", "*", &"x".repeat(254)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn bounds_are_in_order() {
        let of = |buffer: (u32, u32), pool: (u32, u32)| {
            let (buffer_min, buffer_max) = buffer;
            let (pool_min, pool_max) = pool;
            capacity(PoolCapacitySpec { buffer_max, buffer_min, pool_max, pool_min }).map_err(|e| e.message)
        };
        assert!(of((0, 0), (0, 0)).is_ok() && of((1, 2), (0, 10)).is_ok());
        assert!(of((2, 1), (0, 10)).unwrap_err().starts_with("capacitySpec.bufferMin: "));
        assert!(of((1, 1), (3, 2)).unwrap_err().starts_with("capacitySpec.poolMin: "));
        assert!(of((1, 1), (3, u32::MAX)).unwrap_err().starts_with("capacitySpec.poolMax: "));
    }
}
