//! Prints figures: one line each, with the value that it was compared to and the goal.

/// One figure.
pub(crate) struct Row<'a> {
    pub(crate) figure: &'a str,
    pub(crate) ours: String,
    /// Value of the lower bound or the peer, from the same session.
    pub(crate) other: String,
    pub(crate) ratio: String,
    pub(crate) aim: &'a str,
    pub(crate) reached: bool,
}

impl Row<'_> {
    pub(crate) fn print(&self) {
        let Self { figure, ours, other, ratio, aim, reached } = self;
        let reached = if *reached { "reached" } else { "MISSED" };
        println!("{figure:<34} {ours:<22} {other:<26} {ratio:<10} aim {aim:<18} {reached}");
    }
}

/// Returns the median; of an even number of values, the greater of the middle two.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
