//! How often each part of a mix is read.
//!
//! A part says how much it gives: a number of epochs, an amount, or a weight. Weights divide what
//! the whole mix has left. A part that reaches its cap gives what it can, and the others share the
//! rest.
//!
//! **Invariant:** a function of the numbers alone.

/// What one part of a mix wants.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Wanted {
    /// To be read this number of times.
    Epochs(f64),
    /// To give this amount.
    Amount(f64),
    /// To give its share of the rest.
    Weight(f64),
}

/// One part of a mix.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub(super) wanted: Wanted,
    /// How much there is of it, in the unit of the mix.
    pub(super) size: f64,
    /// The largest number of times that it is read.
    pub(super) most_epochs: f64,
}

/// Returns the number of epochs of each part. `whole` is the amount of the mix, which weights need.
pub(super) fn epochs(parts: &[Part], whole: Option<f64>) -> Result<Vec<f64>, &'static str> {
    let mut epochs: Vec<Option<f64>> = parts
        .iter()
        .map(|part| match part.wanted {
            Wanted::Epochs(epochs) => Some(epochs),
            Wanted::Amount(amount) => Some(amount / part.size),
            Wanted::Weight(_) => None,
        })
        .map(|epochs| epochs.filter(|it| it.is_finite()))
        .collect();
    for (epochs, part) in epochs.iter_mut().zip(parts) {
        *epochs = epochs.map(|it| it.min(part.most_epochs));
    }
    let is_weighted = |part: &Part| matches!(part.wanted, Wanted::Weight(_));
    if !parts.iter().any(is_weighted) {
        return Ok(epochs.into_iter().map(|it| it.unwrap_or(0.0)).collect());
    }
    let whole = whole.ok_or("a weight needs the amount of the whole mix")?;
    // Each round fixes at least one part at its cap.
    loop {
        let given: f64 = parts.iter().zip(&epochs).filter_map(|(p, e)| Some(p.size * (*e)?)).sum();
        let rest = (whole - given).max(0.0);
        let weight = |part: &Part| match part.wanted {
            Wanted::Weight(weight) => weight,
            Wanted::Epochs(_) | Wanted::Amount(_) => 0.0,
        };
        let open = parts.iter().zip(&epochs).filter(|(_, epochs)| epochs.is_none());
        let weights: f64 = open.map(|(part, _)| weight(part)).sum();
        let share = |part: &Part| rest * weight(part) / weights / part.size;
        let over = (0..parts.len())
            .find(|n| epochs[*n].is_none() && share(&parts[*n]) > parts[*n].most_epochs);
        match over {
            Some(number) => epochs[number] = Some(parts[number].most_epochs),
            None => {
                let found = epochs.iter().zip(parts);
                return Ok(found.map(|(it, part)| it.unwrap_or_else(|| share(part))).collect());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(wanted: Wanted, size: f64, most_epochs: f64) -> Part {
        Part { wanted, size, most_epochs }
    }

    #[test]
    fn weights_share_what_is_left_and_caps_hold() {
        let parts = [
            part(Wanted::Epochs(2.5), 10.0, 4.0),
            part(Wanted::Amount(25.0), 100.0, 4.0),
            part(Wanted::Weight(3.0), 100.0, 4.0),
            part(Wanted::Weight(1.0), 100.0, 4.0),
        ];
        assert_eq!(epochs(&parts, Some(250.0)).unwrap(), [2.5, 0.25, 1.5, 0.5]);
        // The third would be read 1.5 times; what it does not give comes from the fourth.
        let mut capped = parts;
        capped[2].most_epochs = 1.0;
        assert_eq!(epochs(&capped, Some(250.0)).unwrap(), [2.5, 0.25, 1.0, 1.0]);
        let all_capped = capped.map(|part| Part { most_epochs: 0.5, ..part });
        assert_eq!(epochs(&all_capped, Some(250.0)).unwrap(), [0.5, 0.25, 0.5, 0.5]);
        assert!(epochs(&parts, None).is_err());
        assert_eq!(epochs(&parts[..2], None).unwrap(), [2.5, 0.25]);
        // More than there is left is nothing, not less than nothing.
        assert_eq!(epochs(&parts, Some(10.0)).unwrap(), [2.5, 0.25, 0.0, 0.0]);
    }
}
