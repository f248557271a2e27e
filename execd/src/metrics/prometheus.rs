//! Prometheus text.

use std::{fmt::Write, time::Duration};

use sandkeep_specs::execd::metrics::Metrics;

/// Labels that every figure carries, as they are written.
#[derive(Debug, Clone, Default)]
pub struct Labels(String);

impl Labels {
    /// From a list such as `team=a,region=b`; what is no name and value is left out.
    #[must_use]
    pub fn parse(list: &str) -> Self {
        let pairs: Vec<String> = list
            .split(',')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.trim().replace(['.', '-'], "_"), value.trim()))
            .filter(|(name, _)| {
                let mut characters = name.chars();
                characters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
                    && characters.all(|c| c.is_ascii_alphanumeric() || c == '_')
            })
            .map(|(name, value)| format!("{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")))
            .collect();
        Self(if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) })
    }
}

impl std::fmt::Display for Labels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The measurement, commands running and started, and uptime in Prometheus text format.
#[must_use]
pub fn prometheus(
    measured: &Metrics,
    (running, started): (usize, u64),
    uptime: Duration,
    labels: &Labels,
) -> String {
    const MIB: f64 = 1024.0 * 1024.0;
    let rows = [
        ("execd_cpu_count", "gauge", "CPUs that may be used", f64::from(measured.cpu_count)),
        (
            "execd_cpu_used_ratio",
            "gauge",
            "Share of those CPUs in use, 0 to 1",
            f64::from(measured.cpu_used_pct) / 100.0,
        ),
        (
            "execd_memory_total_bytes",
            "gauge",
            "Memory that may be used",
            f64::from(measured.mem_total_mib) * MIB,
        ),
        ("execd_memory_used_bytes", "gauge", "Memory in use", f64::from(measured.mem_used_mib) * MIB),
        ("execd_commands_running", "gauge", "Commands running now", running as f64),
        ("execd_commands_started_total", "counter", "Commands started", started as f64),
        ("execd_uptime_seconds", "gauge", "Time since execd began", uptime.as_secs_f64()),
    ];
    let mut text = String::with_capacity(1024);
    for (name, kind, help, value) in rows {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name}{labels} {value}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_figure_has_help_type_and_value() {
        let measured = Metrics {
            cpu_count: 1.5,
            cpu_used_pct: 50.0,
            mem_total_mib: 2.0,
            mem_used_mib: 1.0,
            timestamp: 0,
        };
        let text = prometheus(&measured, (3, 9), Duration::from_millis(1500), &Labels::default());
        for line in [
            "execd_cpu_used_ratio 0.5",
            "execd_memory_used_bytes 1048576",
            "execd_commands_running 3",
            "execd_uptime_seconds 1.5",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
        assert_eq!(text.lines().filter(|line| line.starts_with("# TYPE")).count(), 7);
    }

    #[test]
    fn labels_come_from_a_list() {
        let labels = |list: &str| Labels::parse(list).to_string();
        assert_eq!(labels("team=a, service.name=x \"y\\"), r#"{team="a",service_name="x \"y\\"}"#);
        assert_eq!(labels("nonsense,=b,1x=c"), "");
    }
}
