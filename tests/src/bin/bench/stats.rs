//! From samples to figures.

use std::fmt;

use serde_json::{Value, json};

use crate::rows::{Better, Row};

pub(crate) const HEADER: &str =
    "row                          unit        n       p50       p95       p99    target     floor  revision";

/// One line of the result.
pub(crate) struct Summary {
    row: &'static str,
    unit: &'static str,
    n: usize,
    p50: f64,
    /// Of a hundred samples, five are worse than this.
    p95: f64,
    p99: f64,
    target: Option<f64>,
    floor: Option<f64>,
    met: Option<bool>,
    revision: String,
}

impl Summary {
    pub(crate) fn new(row: &Row, revision: &str, mut samples: Vec<f64>) -> Self {
        // The worst comes last, so that the 99th percentile is the bad end for rates as well.
        samples.sort_by(f64::total_cmp);
        if row.better == Better::More {
            samples.reverse();
        }
        let p50 = percentile(&samples, 50.0);
        let met = row.target.map(|target| match row.better {
            Better::Less => p50 <= target,
            Better::More => p50 >= target,
        });
        Self {
            row: row.name,
            unit: row.unit,
            n: samples.len(),
            p50,
            p95: percentile(&samples, 95.0),
            p99: percentile(&samples, 99.0),
            target: row.target,
            floor: row.floor,
            met,
            revision: revision.to_owned(),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), figure);
        let mark = match self.met {
            Some(true) => "",
            Some(false) => "  missed",
            None => "  (no target)",
        };
        write!(
            f,
            "{:<28} {:<7} {:>5} {:>9} {:>9} {:>9} {:>9} {:>9}  {}{mark}",
            self.row,
            self.unit,
            self.n,
            figure(self.p50),
            figure(self.p95),
            figure(self.p99),
            known(self.target),
            known(self.floor),
            self.revision,
        )
    }
}

/// The results as other programs read them.
pub(crate) fn json(summaries: &[Summary]) -> Value {
    let one = |summary: &Summary| {
        json!({
            "row": summary.row,
            "unit": summary.unit,
            "n": summary.n,
            "p50": summary.p50,
            "p95": summary.p95,
            "p99": summary.p99,
            "target": summary.target,
            "floor": summary.floor,
            "revision": summary.revision,
        })
    };
    summaries.iter().map(one).collect()
}

/// The smallest sample that at least `percent` of all are no worse than; `sorted` goes from best to worst.
fn percentile(sorted: &[f64], percent: f64) -> f64 {
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or(f64::NAN)
}

/// Three significant digits, or whole numbers where these are longer.
fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples_at_their_rank() {
        let sorted: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!([50.0, 95.0, 99.0].map(|percent| percentile(&sorted, percent)), [50.0, 95.0, 99.0]);
        assert_eq!(percentile(&[7.0], 99.0), 7.0);
        assert_eq!(percentile(&[1.0, 2.0, 3.0], 50.0), 2.0);
    }

    #[test]
    fn the_99th_percentile_is_the_bad_end_of_a_rate() {
        let row = Row { better: Better::More, target: Some(10.0), ..crate::rows::ROWS[0] };
        let summary = Summary::new(&row, "x", vec![30.0, 10.0, 20.0]);
        assert_eq!((summary.p50, summary.p99, summary.met), (20.0, 10.0, Some(true)));
    }
}
