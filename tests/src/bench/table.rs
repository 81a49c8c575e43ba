//! How figures are printed: one line each, with what it was compared to and what was aimed at.

/// One figure.
pub(crate) struct Row<'a> {
    pub(crate) figure: &'a str,
    pub(crate) ours: String,
    /// The floor or the peer, in the same sitting.
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

/// The middle one; of an even number, the greater of the two.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
