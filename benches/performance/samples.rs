//! What was measured, by name: samples of interleaved rounds, of which the medians are shown.

use std::{collections::BTreeMap, future::Future};

use crate::{
    machine::{MAX_STEAL, Ticks},
    stats::median,
};

/// How often something is tried whose time was stolen.
const TRIES: usize = 3;

/// All samples of a run.
#[derive(Default)]
pub(crate) struct Samples {
    figures: BTreeMap<String, Vec<f64>>,
    pub(crate) kept: usize,
    pub(crate) dropped: usize,
    pub(crate) most_steal: f64,
    /// Nothing else is measured than what has this in its name.
    only: Option<String>,
}

impl Samples {
    /// None yet; of everything, or only of what has this in its name.
    pub(crate) fn of(only: Option<String>) -> Self {
        Self { only, ..Self::default() }
    }

    /// Measures once. Where too much of the CPU was stolen meanwhile the sample is dropped and taken again.
    pub(crate) async fn take<F: Future<Output = Vec<(&'static str, f64)>>>(
        &mut self,
        name: &str,
        measure: impl Fn() -> F,
    ) {
        if !self.wants(name) {
            return;
        }
        for _ in 0..TRIES {
            let before = Ticks::now();
            let figures = measure().await;
            let steal = before.steal();
            if steal > MAX_STEAL {
                self.dropped += 1;
                continue;
            }
            self.kept += 1;
            self.most_steal = self.most_steal.max(steal);
            let said: Vec<_> = figures.iter().map(|(what, figure)| format!("{what} {figure:.1}")).collect();
            eprintln!("{name:<44} {}", said.join(", "));
            for (what, figure) in figures {
                self.add(&format!("{name}/{what}"), figure);
            }
            return;
        }
    }

    pub(crate) fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| name.contains(only))
    }

    pub(crate) fn add(&mut self, name: &str, figure: f64) {
        self.figures.entry(name.to_owned()).or_default().push(figure);
    }

    /// The median of what was measured under this name, if anything was.
    pub(crate) fn median(&self, name: &str) -> Option<f64> {
        self.figures.get(name).map(|figures| median(figures.iter().copied()))
    }

    /// How far the middle half of the samples lie apart, as a part of the median: what a figure's last digits mean.
    pub(crate) fn spread(&self, suffix: &str) -> f64 {
        let spreads = self.figures.iter().filter(|(name, of)| name.ends_with(suffix) && of.len() > 2).map(|(_, of)| {
            let mut of = of.clone();
            of.sort_unstable_by(f64::total_cmp);
            (of[of.len() * 3 / 4] - of[of.len() / 4]) / of[of.len() / 2]
        });
        median(spreads)
    }
}
