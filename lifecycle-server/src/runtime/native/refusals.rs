//! What a sandbox's egress sidecar has refused, as it noted it.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use chrono::DateTime;
use sandkeep_specs::egress::audit::{
    AuditEntry, AuditKind, REFUSALS_BEFORE_FILE, REFUSALS_FILE, Refusal as Noted,
};

use crate::runtime::Refusal;

/// More of a file is not read; sidecars keep theirs much smaller.
const LONGEST: u64 = 256 * 1024;

/// Everything that is noted in this directory, oldest first.
pub(super) fn read(directory: &Path) -> io::Result<Vec<Refusal>> {
    let mut refusals = Vec::new();
    for name in [REFUSALS_BEFORE_FILE, REFUSALS_FILE] {
        let mut text = Vec::new();
        match File::open(directory.join(name)) {
            Ok(file) => file.take(LONGEST).read_to_end(&mut text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        // The last line of a sidecar that was killed may not be whole.
        let noted = text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
        refusals.extend(noted.filter_map(refusal));
    }
    Ok(refusals)
}

fn refusal(Noted { entry, unsaid }: Noted) -> Option<Refusal> {
    let at = DateTime::from_timestamp_millis(i64::try_from(entry.time).ok()?)?;
    Some(Refusal { at, what: what(&entry), why: why(&entry), unsaid })
}

fn what(entry: &AuditEntry) -> String {
    let text = |part: &Option<String>| part.clone().unwrap_or_default();
    let (host, destination) = (text(&entry.host), text(&entry.destination));
    let scheme = if entry.kind == AuditKind::Http { "http" } else { "https" };
    match (&entry.method, entry.kind) {
        (Some(method), _) => format!("{method} {scheme}://{host}{} at {destination}", text(&entry.path)),
        (None, AuditKind::Dns) => format!("the name {host}"),
        (None, _) if host.is_empty() => format!("a connection to {destination}"),
        (None, _) => format!("a connection to {host} at {destination}"),
    }
}

fn why(entry: &AuditEntry) -> String {
    match (&entry.reason, &entry.rule) {
        (Some(reason), Some(rule)) => format!("{reason}, {rule}"),
        (Some(reason), None) => reason.clone(),
        (None, Some(rule)) => format!("rule {rule}"),
        (None, None) => "no rule allows it".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn lines_are_read_in_order_and_broken_ones_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(read(directory.path()).unwrap(), []);
        let name = r#"{"id":1,"time":1000,"kind":"dns","allowed":false,"host":"a.test","rule":"*.test","reason":"rule"}"#;
        let request = r#"{"id":2,"time":2000,"kind":"https","allowed":false,"host":"b.test","destination":"192.0.2.1:443","method":"GET","path":"/x","reason":"credential binding ambiguous","unsaid":3}"#;
        let connection = r#"{"id":3,"time":3000,"kind":"https","allowed":false,"host":"c.test","destination":"192.0.2.1:443"}"#;
        fs::write(directory.path().join(REFUSALS_BEFORE_FILE), format!("{name}\n")).unwrap();
        fs::write(directory.path().join(REFUSALS_FILE), format!("{request}\n{connection}\n{{\"id\":4,"))
            .unwrap();
        let read = read(directory.path()).unwrap();
        let texts: Vec<_> = read.iter().map(|refusal| format!("{}: {}", refusal.what, refusal.why)).collect();
        assert_eq!(
            texts,
            [
                "the name a.test: rule, *.test",
                "GET https://b.test/x at 192.0.2.1:443: credential binding ambiguous",
                "a connection to c.test at 192.0.2.1:443: no rule allows it",
            ]
        );
        assert_eq!(read.iter().map(|refusal| refusal.unsaid).collect::<Vec<_>>(), [0, 3, 0]);
        assert_eq!(read[1].at.timestamp(), 2);
    }
}
