//! Storage a sandbox asks for.

use std::{
    collections::HashSet,
    path::{Component, Path, PathBuf},
};

use sandkeep_specs::lifecycle::{Host, Pvc, Volume as Wanted};

use super::ossfs;
use crate::{
    api::error::{ApiError, Code},
    volume::{Source, Volume},
};

const MAX_LABEL: usize = 63;
const MAX_CLAIM: usize = 253;
/// Where a sandbox has mounts of its own, or everything.
const RESERVED: [&str; 5] = ["/", "/dev", "/proc", "/sys", "/opt/opensandbox"];

pub(super) fn check(wanted: Vec<Wanted>) -> Result<Vec<Volume>, ApiError> {
    let (mut names, mut targets) = (HashSet::new(), HashSet::new());
    let mut volumes = Vec::with_capacity(wanted.len());
    for (index, volume) in wanted.into_iter().enumerate() {
        let place = format!("volumes[{index}]");
        if !is_label(&volume.name, MAX_LABEL) {
            return Err(refuse(
                "INVALID_NAME",
                &place,
                "name",
                "must be a DNS label of at most 63 characters",
            ));
        }
        if !names.insert(volume.name.clone()) {
            return Err(refuse("DUPLICATE_NAME", &place, "name", "is used by another volume of the request"));
        }
        let mount_path = mount_path(&place, &volume.mount_path)?;
        if !targets.insert(mount_path.clone()) {
            let problem = "is where another volume of the request is mounted";
            return Err(refuse("INVALID_MOUNT_PATH", &place, "mountPath", problem));
        }
        let sub_path = sub_path(&place, volume.sub_path.as_deref())?;
        let source = match (volume.host, volume.pvc, volume.ossfs) {
            (Some(host), None, None) => host_path(&place, host)?,
            (None, Some(pvc), None) => claim(&place, pvc)?,
            (None, None, Some(wanted)) => ossfs::bucket(&place, wanted)?,
            _ => {
                let problem = "needs exactly one of host, pvc and ossfs";
                return Err(ApiError::new(
                    Code::Volume("VOLUME::INVALID_BACKEND"),
                    format!("{place}: {problem}"),
                ));
            }
        };
        volumes.push(Volume {
            name: volume.name,
            mount_path,
            read_only: volume.read_only,
            sub_path,
            source,
            tenant: None,
        });
    }
    Ok(volumes)
}

pub(super) fn refuse(code: &str, place: &str, member: &str, problem: &str) -> ApiError {
    let code = match code {
        "INVALID_NAME" => "VOLUME::INVALID_NAME",
        "DUPLICATE_NAME" => "VOLUME::DUPLICATE_NAME",
        "INVALID_MOUNT_PATH" => "VOLUME::INVALID_MOUNT_PATH",
        "INVALID_SUB_PATH" => "VOLUME::INVALID_SUB_PATH",
        "INVALID_HOST_PATH" => "VOLUME::INVALID_HOST_PATH",
        "INVALID_PVC_NAME" => "VOLUME::INVALID_PVC_NAME",
        "INVALID_OSSFS_VERSION" => "VOLUME::INVALID_OSSFS_VERSION",
        "INVALID_OSSFS_BUCKET" => "VOLUME::INVALID_OSSFS_BUCKET",
        "INVALID_OSSFS_ENDPOINT" => "VOLUME::INVALID_OSSFS_ENDPOINT",
        "INVALID_OSSFS_OPTION" => "VOLUME::INVALID_OSSFS_OPTION",
        _ => "VOLUME::INVALID_OSSFS_CREDENTIALS",
    };
    ApiError::new(Code::Volume(code), format!("{place}.{member}: {problem}"))
}

fn is_label(text: &str, longest: usize) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !text.is_empty()
        && text.len() <= longest
        && text.bytes().all(plain)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// The path without dots and double slashes; `None` if it leads up or holds a NUL.
fn clean(path: &str) -> Option<PathBuf> {
    let path = Path::new(path);
    let up = path.components().any(|component| component == Component::ParentDir);
    (!up && !path.as_os_str().as_encoded_bytes().contains(&0)).then(|| path.components().collect())
}

fn mount_path(place: &str, path: &str) -> Result<String, ApiError> {
    let wrong = |problem| refuse("INVALID_MOUNT_PATH", place, "mountPath", problem);
    let clean = clean(path).filter(|path| path.is_absolute());
    let clean = clean.ok_or_else(|| wrong("must be an absolute path without .."))?;
    let reserved = RESERVED.iter().any(|own| match *own {
        "/" => clean == Path::new("/"),
        own => clean.starts_with(own),
    });
    match (reserved, clean.into_os_string().into_string()) {
        (false, Ok(path)) => Ok(path),
        _ => Err(wrong("must not be where the sandbox has file systems of its own")),
    }
}

fn sub_path(place: &str, path: Option<&str>) -> Result<Option<String>, ApiError> {
    let Some(path) = path.filter(|path| !path.is_empty()) else { return Ok(None) };
    let clean = clean(path)
        .filter(|path| !path.is_absolute())
        .and_then(|path| path.into_os_string().into_string().ok());
    let problem = "must be a relative path without ..";
    clean.map(Some).ok_or_else(|| refuse("INVALID_SUB_PATH", place, "subPath", problem))
}

fn host_path(place: &str, host: Host) -> Result<Source, ApiError> {
    let path = host.path;
    let plain = path.starts_with('/')
        && !path.contains("//")
        && !path.contains('\0')
        && (path == "/" || !path.ends_with('/'))
        && !path.split('/').any(|name| name == ".." || name == ".");
    match plain {
        true => Ok(Source::Host { path: path.into() }),
        false => {
            let problem = "must be an absolute path without .., double and trailing slashes";
            Err(refuse("INVALID_HOST_PATH", place, "host.path", problem))
        }
    }
}

fn claim(place: &str, pvc: Pvc) -> Result<Source, ApiError> {
    if !is_label(&pvc.claim_name, MAX_CLAIM) {
        let problem = "must be small letters, digits and inner hyphens";
        return Err(refuse("INVALID_PVC_NAME", place, "pvc.claimName", problem));
    }
    Ok(Source::Named {
        claim: pvc.claim_name,
        create: pvc.create_if_not_exists.unwrap_or(true),
        delete_with_sandbox: pvc.delete_on_sandbox_termination.unwrap_or(false),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn every_refusal_has_its_code_and_names_its_member() {
        let valid = json!({"name": "v", "mountPath": "/data", "pvc": {"claimName": "cache"}});
        let with = |patch: Value| {
            let mut volume = valid.clone();
            for (key, value) in patch.as_object().unwrap() {
                volume[key] = value.clone();
            }
            check(vec![serde_json::from_value(volume).unwrap()])
        };
        assert!(with(json!({"subPath": "a/./b", "readOnly": true})).is_ok());
        assert_eq!(with(json!({"mountPath": "//data//x/."})).unwrap()[0].mount_path, "/data/x");
        for (patch, code, member) in [
            (json!({"name": "V"}), "VOLUME::INVALID_NAME", "name"),
            (json!({"mountPath": "data"}), "VOLUME::INVALID_MOUNT_PATH", "mountPath"),
            (json!({"mountPath": "/a/../b"}), "VOLUME::INVALID_MOUNT_PATH", "mountPath"),
            (json!({"mountPath": "/"}), "VOLUME::INVALID_MOUNT_PATH", "mountPath"),
            (json!({"mountPath": "/proc/x"}), "VOLUME::INVALID_MOUNT_PATH", "mountPath"),
            (json!({"subPath": "../x"}), "VOLUME::INVALID_SUB_PATH", "subPath"),
            (json!({"subPath": "/x"}), "VOLUME::INVALID_SUB_PATH", "subPath"),
            (json!({"pvc": {"claimName": "a_b"}}), "VOLUME::INVALID_PVC_NAME", "pvc.claimName"),
            (json!({"pvc": null, "host": {"path": "x"}}), "VOLUME::INVALID_HOST_PATH", "host.path"),
            (json!({"pvc": null, "host": {"path": "/x/"}}), "VOLUME::INVALID_HOST_PATH", "host.path"),
            (json!({"pvc": null, "host": {"path": "/x/../y"}}), "VOLUME::INVALID_HOST_PATH", "host.path"),
        ] {
            let error = with(patch.clone()).map(drop).unwrap_err();
            assert_eq!(error.code, Code::Volume(code), "{patch}");
            assert!(error.message.starts_with(&format!("volumes[0].{member}: ")), "{error:?}");
        }
        let both = with(json!({"host": {"path": "/x"}})).unwrap_err();
        assert_eq!(both.code, Code::Volume("VOLUME::INVALID_BACKEND"));
        let twice: Vec<Wanted> = serde_json::from_value(json!([valid, valid])).unwrap();
        assert_eq!(check(twice).unwrap_err().code, Code::Volume("VOLUME::DUPLICATE_NAME"));
        let beside = |path: &str| {
            let other = json!({"name": "w", "mountPath": path, "pvc": {"claimName": "other"}});
            check(serde_json::from_value(json!([valid, other])).unwrap()).map(drop)
        };
        let error = beside("/data/./").unwrap_err();
        assert_eq!(error.code, Code::Volume("VOLUME::INVALID_MOUNT_PATH"));
        assert!(error.message.starts_with("volumes[1].mountPath: "), "{error:?}");
        assert_eq!(beside("/data/sub"), Ok(()));
    }
}
