//! What is measured, and what is to be reached.

use std::future::Future;
use std::pin::Pin;

use anyhow::Result;

use crate::measure::intercept::{self, Way};
use crate::measure::{bulk, code, commands, egress, files, lifecycle, memory, pause, pools, sdk};
use crate::sandbox::Bench;
use crate::tls::Http;

/// A measurement: takes about so many samples and returns them.
pub(crate) type Measure =
    for<'a> fn(&'a Bench, usize) -> Pin<Box<dyn Future<Output = Result<Vec<f64>>> + 'a>>;

/// Which end of the scale is the good one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    Less,
    More,
}

/// One line of the table.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
    /// What is to be reached.
    pub(crate) target: Option<f64>,
    /// What the kernel itself takes.
    pub(crate) floor: Option<f64>,
    /// How often the sides take turns.
    pub(crate) rounds: usize,
    /// Samples in each turn.
    pub(crate) samples: usize,
    pub(crate) measure: Measure,
}

impl Row {
    pub(crate) fn matches(&self, only: Option<&str>) -> bool {
        only.is_none_or(|text| self.name.contains(text))
    }
}

const fn less(
    name: &'static str,
    unit: &'static str,
    target: f64,
    counts: (usize, usize),
    measure: Measure,
) -> Row {
    let (rounds, samples) = counts;
    Row { name, unit, better: Better::Less, target: Some(target), floor: None, rounds, samples, measure }
}

const fn more(
    name: &'static str,
    unit: &'static str,
    target: f64,
    counts: (usize, usize),
    measure: Measure,
) -> Row {
    Row { better: Better::More, ..less(name, unit, target, counts, measure) }
}

impl Row {
    const fn floor(self, floor: f64) -> Self {
        Self { floor: Some(floor), ..self }
    }

    /// Only there for another row to be compared with.
    const fn no_target(self) -> Self {
        Self { target: None, ..self }
    }
}

/// The rows, those first that need an untouched server.
pub(crate) const ROWS: &[Row] = &[
    less("server-memory-idle", "MB", 25.0, (1, 1), |bench, n| Box::pin(memory::server(bench, n))),
    less("create-to-ping-cold", "ms", 10.0, (5, 20), |bench, n| Box::pin(lifecycle::create(bench, n)))
        .floor(3.0),
    less("create-with-policy", "ms", 25.0, (5, 10), |bench, n| {
        Box::pin(lifecycle::create_with_policy(bench, n))
    }),
    less("create-with-credentials", "ms", 30.0, (5, 10), |bench, n| {
        Box::pin(lifecycle::create_with_credentials(bench, n))
    }),
    less("create-to-python-cold", "ms", 40.0, (5, 8), |bench, n| {
        Box::pin(lifecycle::create_to_python(bench, n))
    })
    .floor(9.0),
    less("create-from-pool", "ms", 2.0, (5, 10), |bench, n| Box::pin(pools::create(bench, n))).floor(0.5),
    less("create-from-pool-to-python", "ms", 6.0, (5, 8), |bench, n| {
        Box::pin(pools::create_to_python(bench, n))
    })
    .floor(1.6),
    less("delete-answered", "ms", 5.0, (5, 20), |bench, n| Box::pin(lifecycle::delete(bench, n))).floor(0.2),
    more("creates-per-minute-8", "1/min", 2500.0, (3, 160), |bench, n| Box::pin(lifecycle::churn(bench, n))),
    less("pause", "ms", 1.0, (5, 40), |bench, n| Box::pin(pause::pause(bench, n))).floor(0.07),
    less("resume-to-http", "ms", 2.0, (5, 40), |bench, n| Box::pin(pause::resume_to_http(bench, n)))
        .floor(0.5),
    less("wake-proxied", "ms", 10.0, (5, 40), |bench, n| Box::pin(pause::wake_proxied(bench, n))).floor(0.5),
    less("wake-direct", "ms", 10.0, (5, 40), |bench, n| Box::pin(pause::wake_direct(bench, n))).floor(0.5),
    less("stop-files", "ms", 100.0, (3, 10), |bench, n| Box::pin(pause::stop(bench, n))),
    less("start-files-to-ping", "ms", 80.0, (3, 10), |bench, n| Box::pin(pause::start_to_ping(bench, n))),
    less("stop-memory", "ms", 100.0, (3, 10), |bench, n| Box::pin(pause::stop_with_memory(bench, n)))
        .floor(43.0),
    less("start-memory-to-http", "ms", 80.0, (3, 10), |bench, n| {
        Box::pin(pause::start_with_memory(bench, n))
    })
    .floor(30.0),
    less("start-memory-256mb-to-http", "ms", 150.0, (3, 10), |bench, n| {
        Box::pin(pause::start_with_much_memory(bench, n))
    })
    .floor(46.0),
    less("get-one", "ms", 0.3, (5, 200), |bench, n| Box::pin(lifecycle::get_one(bench, n))).floor(0.05),
    less("command-argv", "ms", 1.2, (5, 100), |bench, n| Box::pin(commands::argv(bench, n))).floor(0.84),
    less("command-bash", "ms", 1.7, (5, 100), |bench, n| Box::pin(commands::bash(bench, n))).floor(1.3),
    more("commands-per-second-argv-64", "1/s", 1700.0, (3, 2000), |bench, n| {
        Box::pin(commands::argv_64(bench, n))
    })
    .floor(2200.0),
    more("commands-per-second-bash-64", "1/s", 1100.0, (3, 2000), |bench, n| {
        Box::pin(commands::bash_64(bench, n))
    })
    .floor(1430.0),
    less("line-latency", "ms", 0.1, (3, 200), |bench, n| Box::pin(commands::line_latency(bench, n)))
        .floor(0.03),
    more("sse-100mb-direct", "MB/s", 800.0, (5, 6), |bench, n| Box::pin(bulk::lines_direct(bench, n)))
        .floor(1700.0),
    more("sse-100mb-proxy", "MB/s", 500.0, (5, 6), |bench, n| Box::pin(bulk::lines_proxied(bench, n))),
    less("ping-proxy", "ms", 0.5, (5, 200), |bench, n| Box::pin(lifecycle::ping_proxied(bench, n)))
        .floor(0.2),
    more("upload-256mib", "MB/s", 1200.0, (5, 6), |bench, n| Box::pin(bulk::upload(bench, n))).floor(1500.0),
    less("upload-peak-memory", "MB", 12.0, (3, 1), |bench, n| Box::pin(bulk::upload_memory(bench, n)))
        .floor(6.0),
    more("download-256mib", "MB/s", 2300.0, (5, 6), |bench, n| Box::pin(bulk::download(bench, n)))
        .floor(2500.0),
    less("search-20k-all", "ms", 35.0, (5, 10), |bench, n| Box::pin(files::search_all(bench, n))).floor(26.0),
    less("search-20k-one", "ms", 7.0, (5, 20), |bench, n| Box::pin(files::search_one(bench, n))).floor(4.0),
    less("metrics", "ms", 2.0, (5, 100), |bench, n| Box::pin(commands::metrics(bench, n))),
    less("code-repeated", "ms", 0.5, (5, 200), |bench, n| Box::pin(code::repeated(bench, n))).floor(0.12),
    less("code-new-context", "ms", 5.0, (5, 10), |bench, n| Box::pin(code::new_context(bench, n))).floor(1.6),
    less("code-cold-to-python", "times", 1.5, (5, 10), |bench, n| Box::pin(code::cold_to_python(bench, n))),
    less("code-go-again", "ms", 300.0, (3, 10), |bench, n| Box::pin(code::go_again(bench, n))).floor(110.0),
    less("execd-memory-idle", "MB", 5.0, (1, 30), |bench, n| Box::pin(memory::execd(bench, n))).floor(3.4),
    less("execd-binary", "MB", 14.0, (1, 1), |bench, n| Box::pin(memory::execd_binary(bench, n))),
    less("sdk-overhead-python", "ms", 0.5, (3, 500), |bench, n| Box::pin(sdk::python(bench, n))),
    less("sdk-overhead-typescript", "ms", 0.2, (3, 500), |bench, n| Box::pin(sdk::typescript(bench, n))),
    less("sdk-overhead-rust", "ms", 0.2, (3, 500), |bench, n| Box::pin(sdk::rust(bench, n))),
    less("list-48", "ms", 1.0, (5, 100), |bench, n| Box::pin(lifecycle::list(bench, n))),
    less("server-memory-48", "MB", 30.0, (1, 1), |bench, n| Box::pin(memory::server_with_48(bench, n))),
    less("sandbox-memory", "MB", 4.0, (1, 48), |bench, n| Box::pin(memory::sandboxes(bench, n))),
    less("egress-start", "ms", 5.0, (2, 20), |bench, n| Box::pin(egress::start(bench, n))).floor(2.0),
    less("egress-patch-1000-rules", "ms", 2.0, (2, 50), |bench, n| Box::pin(egress::patch(bench, n)))
        .floor(0.4),
    more("egress-dns-denied", "q/s", 200_000.0, (1, 5), |bench, n| Box::pin(egress::denied(bench, n)))
        .floor(342_000.0),
    more("egress-dns-cached", "q/s", 150_000.0, (1, 5), |bench, n| Box::pin(egress::cached(bench, n)))
        .floor(345_000.0),
    more("egress-dns-upstream", "q/s", 20_000.0, (1, 3), |bench, n| Box::pin(egress::upstream(bench, n)))
        .floor(188_000.0),
    more("egress-https-h1-direct", "1/s", 0.0, (1, 5), |bench, n| {
        Box::pin(intercept::requests(bench, n, Way::Direct, Http::One))
    })
    .no_target(),
    more("egress-https-h1", "1/s", 20_000.0, (1, 5), |bench, n| {
        Box::pin(intercept::requests(bench, n, Way::Intercepted, Http::One))
    })
    .floor(45_000.0),
    more("egress-https-h1-secret", "1/s", 20_000.0, (1, 5), |bench, n| {
        Box::pin(intercept::requests(bench, n, Way::Lent, Http::One))
    }),
    more("egress-https-h2-direct", "1/s", 0.0, (1, 5), |bench, n| {
        Box::pin(intercept::requests(bench, n, Way::Direct, Http::Two))
    })
    .no_target(),
    more("egress-https-h2", "1/s", 20_000.0, (1, 5), |bench, n| {
        Box::pin(intercept::requests(bench, n, Way::Intercepted, Http::Two))
    })
    .floor(85_000.0),
    more("egress-https-h2-secret", "1/s", 20_000.0, (1, 5), |bench, n| {
        Box::pin(intercept::requests(bench, n, Way::Lent, Http::Two))
    }),
    more("egress-bulk-h1-direct", "MB/s", 0.0, (1, 5), |bench, n| {
        Box::pin(intercept::bulk(bench, n, Way::Direct, Http::One))
    })
    .no_target(),
    more("egress-bulk-h1", "MB/s", 700.0, (1, 5), |bench, n| {
        Box::pin(intercept::bulk(bench, n, Way::Intercepted, Http::One))
    })
    .floor(734.0),
    more("egress-bulk-h1-secret", "MB/s", 700.0, (1, 5), |bench, n| {
        Box::pin(intercept::bulk(bench, n, Way::Lent, Http::One))
    }),
    more("egress-bulk-h2-direct", "MB/s", 0.0, (1, 5), |bench, n| {
        Box::pin(intercept::bulk(bench, n, Way::Direct, Http::Two))
    })
    .no_target(),
    more("egress-bulk-h2", "MB/s", 500.0, (1, 5), |bench, n| {
        Box::pin(intercept::bulk(bench, n, Way::Intercepted, Http::Two))
    })
    .floor(427.0),
    more("egress-bulk-h2-secret", "MB/s", 500.0, (1, 5), |bench, n| {
        Box::pin(intercept::bulk(bench, n, Way::Lent, Http::Two))
    }),
    less("egress-connect-direct", "ms", 0.0, (1, 200), |bench, n| {
        Box::pin(intercept::connect(bench, n, Way::Direct, "/"))
    })
    .no_target(),
    less("egress-connect-pooled", "ms", 0.8, (1, 200), |bench, n| {
        Box::pin(intercept::connect(bench, n, Way::Intercepted, "/"))
    })
    .floor(0.5),
    less("egress-connect-new", "ms", 1.5, (1, 200), |bench, n| {
        Box::pin(intercept::connect(bench, n, Way::Intercepted, "/close"))
    })
    .floor(0.9),
    less("egress-memory-idle", "MB", 16.0, (1, 1), |bench, n| Box::pin(intercept::memory_idle(bench, n)))
        .floor(5.7),
    less("egress-memory-after", "MB", 16.0, (1, 1), |bench, n| Box::pin(intercept::memory_after(bench, n)))
        .floor(5.7),
    less("egress-memory-busy", "MB", 16.0, (1, 1), |bench, n| Box::pin(intercept::memory_busy(bench, n)))
        .floor(9.6),
    less("host-memory-1000", "MB", 24.0, (1, 1), |bench, n| Box::pin(memory::host(bench, n))),
    less("server-memory-1000", "MB", 0.0, (1, 1), |bench, n| Box::pin(memory::server_with_1000(bench, n)))
        .no_target(),
    less("create-among-1000", "ms", 10.0, (1, 40), |bench, n| {
        Box::pin(lifecycle::create_among_1000(bench, n))
    })
    .floor(3.0),
    less("get-one-among-1000", "ms", 0.3, (1, 200), |bench, n| {
        Box::pin(lifecycle::get_one_among_1000(bench, n))
    })
    .floor(0.05),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found_by_any_part() {
        let mut names: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ROWS.len());
        assert!(ROWS[0].matches(None) && ROWS[0].matches(Some("memory")) && !ROWS[0].matches(Some("bash")));
    }
}
