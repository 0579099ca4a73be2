//! How long the last looks took.

use std::collections::VecDeque;
use std::time::Duration;

/// How many looks are remembered. At ten seconds each that is a quarter of an hour.
const KEPT: usize = 100;

/// Percentiles of how long the last looks took (nearest rank).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Latency {
    /// How many looks they are made of; at most the last 100.
    pub looks: usize,
    /// Half of them took no longer.
    pub p50: Duration,
    /// 90 of 100 took no longer.
    pub p90: Duration,
    /// 99 of 100 took no longer.
    pub p99: Duration,
    /// None took longer.
    pub max: Duration,
}

/// The last looks, the oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Latencies(VecDeque<Duration>);

impl Latencies {
    pub fn add(&mut self, took: Duration) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(took);
    }

    /// `None` before the first look.
    pub fn summary(&self) -> Option<Latency> {
        let mut sorted: Vec<Duration> = self.0.iter().copied().collect();
        sorted.sort_unstable();
        let max = *sorted.last()?;
        let rank = |percent: usize| sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1];
        Some(Latency {
            looks: sorted.len(),
            p50: rank(50),
            p90: rank(90),
            p99: rank(99),
            max,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(millis: impl IntoIterator<Item = u64>) -> Latencies {
        let mut latencies = Latencies::default();
        millis
            .into_iter()
            .for_each(|ms| latencies.add(Duration::from_millis(ms)));
        latencies
    }

    #[test]
    fn percentiles_are_looks_that_happened() {
        assert_eq!(of([]).summary(), None);
        let millis = |latencies: Latencies| {
            let found = latencies.summary().unwrap();
            (
                found.looks,
                [found.p50, found.p90, found.p99, found.max].map(|d| d.as_millis()),
            )
        };
        assert_eq!(millis(of([7])), (1, [7, 7, 7, 7]));
        assert_eq!(millis(of([3, 1, 2, 4])), (4, [2, 4, 4, 4]));
        assert_eq!(millis(of(1..=100)), (100, [50, 90, 99, 100]));
    }

    #[test]
    fn the_oldest_look_is_forgotten() {
        assert_eq!(of((1..=100).chain([5])).summary().unwrap().looks, 100);
        let max = of([900].into_iter().chain((0..100).map(|_| 1)))
            .summary()
            .unwrap()
            .max;
        assert_eq!(max, Duration::from_millis(1));
    }
}
