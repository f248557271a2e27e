//! Everything about one sandbox, `Key: value`.

use std::fmt::Display;

use chrono::{DateTime, SecondsFormat, Utc};

use crate::{
    proxy::EXECD_PORT,
    runtime::{Limits, Usage},
    sandbox::{
        Record,
        secrets::{MASK, is_secret, masked},
    },
};

const NONE: &str = "(none)";

/// A text of lines, sections set off by their indentation.
#[derive(Default)]
struct Sheet(String);

impl Sheet {
    fn line(&mut self, key: &str, value: impl Display) {
        // A value must not look like lines of its own.
        let value = value.to_string().split(['\n', '\r']).collect::<Vec<_>>().join(" ");
        self.0 += &format!("{key}: {value}\n");
    }

    fn some(&mut self, key: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.line(key, value);
        }
    }

    fn section(&mut self, name: &str, lines: impl IntoIterator<Item = (String, String)>) {
        self.0 += &format!("{name}:\n");
        let before = self.0.len();
        for (key, value) in lines {
            self.line(&format!("  {key}"), value);
        }
        if self.0.len() == before {
            self.0 += &format!("  {NONE}\n");
        }
    }
}

/// The sandbox as the server knows it; `usage` if it runs.
pub(in crate::api) fn inspect(record: &Record, limits: Limits, usage: Option<&Usage>) -> String {
    let mut sheet = Sheet::default();
    let (plan, status) = (&record.plan, &record.status);
    sheet.line("ID", &record.id);
    sheet.line("State", status.state);
    sheet.line("Reason", &status.reason);
    sheet.some("Message", status.message.as_ref());
    sheet.line("Last transition", time(status.last_transition_at));
    sheet.line("Created", time(record.created_at));
    sheet.line("Expires", record.expires_at.map_or_else(|| "never".to_owned(), time));
    sheet.line("Image", &plan.image);
    sheet.some(
        "Platform",
        plan.platform.as_ref().map(|platform| format!("{}/{}", platform.os, platform.arch)),
    );
    sheet.line("Command", masked(&format!("{:?}", plan.entrypoint), &plan.env));
    sheet.section("Resources", resources(limits, usage));
    let address = (!status.state.is_final()).then(|| ("Address".to_owned(), record.slot.address.to_string()));
    sheet.section("Network", address);
    let execd = (!status.state.is_final()).then(|| (EXECD_PORT.to_string(), "execd".to_owned()));
    sheet.section("Ports", execd);
    sheet.section("Labels", record.metadata.iter().map(|(key, value)| (key.clone(), value.clone())));
    let shown = |name: &str, value: &String| if is_secret(name) { MASK.to_owned() } else { value.clone() };
    sheet.section("Environment", plan.env.iter().map(|(name, value)| (name.clone(), shown(name, value))));
    sheet.0
}

fn resources(limits: Limits, usage: Option<&Usage>) -> Vec<(String, String)> {
    let limit = |limit: Option<u64>| limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string());
    let mut lines = vec![
        ("CPU limit (thousandths)", limit(limits.cpu_millis)),
        ("Memory limit (bytes)", limit(limits.memory_bytes)),
        ("Limit of pids", limit(limits.pids)),
        ("Disk limit (bytes)", limit(limits.disk_bytes)),
    ];
    if let Some(usage) = usage {
        lines.extend([
            ("CPU time used (microseconds)", usage.cpu_micros.to_string()),
            ("Memory used (bytes)", usage.memory_bytes.to_string()),
            ("Pids", usage.pids.to_string()),
            ("Processes killed at the memory limit", usage.oom_kills.to_string()),
            ("Starts refused at the limit of pids", usage.pids_refused.to_string()),
        ]);
        lines.extend(usage.disk_bytes.map(|bytes| ("Disk used (bytes)", bytes.to_string())));
        lines.extend(usage.disk_free_bytes.map(|bytes| ("Disk free (bytes)", bytes.to_string())));
    }
    lines.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::record_for_tests;

    #[test]
    fn secrets_are_masked_wherever_they_stand_and_nothing_breaks_its_line() {
        let mut record = record_for_tests("a", Utc::now());
        record.plan.env = [("GITHUB_TOKEN", "ghp_123"), ("MODE", "fast\nID: b")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        record.plan.entrypoint = vec!["login".to_owned(), "ghp_123".to_owned()];
        let text = inspect(&record, record.plan.limits(), Some(&Usage::default()));
        assert!(!text.contains("ghp_123"), "{text}");
        for line in [
            "ID: a",
            "State: Running",
            "Command: [\"login\", \"***\"]",
            "  Memory limit (bytes): 1073741824",
            "Network:",
            "  44772: execd",
            "Labels:\n  (none)",
            "  GITHUB_TOKEN: ***",
            "  MODE: fast ID: b",
        ] {
            assert!(text.contains(&format!("{line}\n")), "{line}\n{text}");
        }
        assert_eq!(text.lines().filter(|line| line.starts_with("ID: ")).count(), 1);
    }
}
