//! Medians of interleaved rounds.

/// One value per round; all contenders of a scenario have a value for the same rounds, or fewer.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    pub fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        match sorted.len() {
            0 => f64::NAN,
            count if count % 2 == 1 => sorted[count / 2],
            count => (sorted[count / 2 - 1] + sorted[count / 2]) / 2.0,
        }
    }

    /// The median of the rounds' ratios. A machine that is busy with something else in one round
    /// is so for both, which a ratio of medians would not see.
    pub fn ratio_to(&self, other: &Samples) -> f64 {
        self.pairwise(other, |ours, theirs| ours / theirs)
    }

    /// The median of the rounds' differences.
    pub fn minus(&self, other: &Samples) -> f64 {
        self.pairwise(other, |ours, theirs| ours - theirs)
    }

    fn pairwise(&self, other: &Samples, combine: impl Fn(f64, f64) -> f64) -> f64 {
        Samples(
            self.0
                .iter()
                .zip(&other.0)
                .map(|(ours, theirs)| combine(*ours, *theirs))
                .collect(),
        )
        .median()
    }
}
