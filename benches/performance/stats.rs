//! Medians and percentiles.

use std::time::Duration;

/// The middle one of some figures; NaN where there are none.
pub(crate) fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut figures: Vec<_> = figures.into_iter().collect();
    figures.sort_unstable_by(f64::total_cmp);
    match figures.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => figures[length / 2],
        length => (figures[length / 2 - 1] + figures[length / 2]) / 2.0,
    }
}

/// The value below which this part of the ascending values lies.
pub(crate) fn percentile(ascending: &[Duration], part: f64) -> Duration {
    let index = (ascending.len() as f64 * part) as usize;
    ascending.get(index.min(ascending.len().saturating_sub(1))).copied().unwrap_or_default()
}

pub(crate) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
