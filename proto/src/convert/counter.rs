//! Counters of results.

use thresher_domain::{Bucket, Counter, CounterValue, Measure};

use super::MalformedMessage;
use crate::pb;
use pb::counter_value::Counter as Wire;

impl TryFrom<pb::CounterValue> for CounterValue {
    type Error = MalformedMessage;

    fn try_from(counted: pb::CounterValue) -> Result<Self, MalformedMessage> {
        let pb::CounterValue { counter, value } = counted;
        let counter = match counter.ok_or(MalformedMessage::UnknownCounter)? {
            Wire::Plain(number) => plain(number)?,
            Wire::ExcludedInput(input) => Counter::ExcludedInput { input },
            Wire::DamagedInput(input) => Counter::DamagedInput { input },
            Wire::RemovedLinesRule(rule) => Counter::RemovedLines { rule },
            Wire::Bucket(pb::BucketCounter { language, bucket }) => {
                Counter::Bucket { language, bucket: bucket_from_wire(bucket)? }
            }
            Wire::Language(pb::LanguageCounter { language, measure }) => {
                Counter::Language { language, measure: measure_from_wire(measure)? }
            }
            Wire::Slice(pb::SliceCounter { slice, measure }) => {
                Counter::Slice { slice, measure: measure_from_wire(measure)? }
            }
        };
        Ok(Self { counter, value })
    }
}

impl From<CounterValue> for pb::CounterValue {
    fn from(counted: CounterValue) -> Self {
        use pb::PlainCounter as Plain;
        let plain = |counter: Plain| Wire::Plain(counter.into());
        let counter = match counted.counter {
            Counter::Inputs => plain(Plain::Inputs),
            Counter::ExcludedInputs => plain(Plain::ExcludedInputs),
            Counter::ExcludedInput { input } => Wire::ExcludedInput(input),
            Counter::Lines => plain(Plain::LineCount),
            Counter::LineKeys => plain(Plain::LineKeys),
            Counter::Keys => plain(Plain::Keys),
            Counter::DistinctKeys => plain(Plain::DistinctKeys),
            Counter::Duplicates => plain(Plain::Duplicates),
            Counter::LinesIn => plain(Plain::LinesIn),
            Counter::DuplicateLines => plain(Plain::DuplicateLines),
            Counter::RemovedLines { rule } => Wire::RemovedLinesRule(rule),
            Counter::MissingFiles => plain(Plain::MissingFiles),
            Counter::OmittedFiles => plain(Plain::OmittedFiles),
            Counter::DamagedCharacters => plain(Plain::DamagedCharacters),
            Counter::DamagedInputs => plain(Plain::DamagedInputs),
            Counter::DamagedInput { input } => Wire::DamagedInput(input),
            Counter::StagedJsonBytes => plain(Plain::StagedJsonBytes),
            Counter::Bucket { language, bucket } => {
                let bucket = pb::Bucket::from(bucket).into();
                Wire::Bucket(pb::BucketCounter { language, bucket })
            }
            Counter::Language { language, measure } => {
                let measure = pb::Measure::from(measure).into();
                Wire::Language(pb::LanguageCounter { language, measure })
            }
            Counter::Signed => plain(Plain::Signed),
            Counter::Unsigned => plain(Plain::Unsigned),
            Counter::BandGroups => plain(Plain::BandGroups),
            Counter::Connected => plain(Plain::Connected),
            Counter::Components => plain(Plain::Components),
            Counter::Compared => plain(Plain::Compared),
            Counter::Dissimilar => plain(Plain::Dissimilar),
            Counter::NearDuplicates => plain(Plain::NearDuplicates),
            Counter::Clusters => plain(Plain::Clusters),
            Counter::Shards => plain(Plain::Shards),
            Counter::Slice { slice, measure } => {
                let measure = pb::Measure::from(measure).into();
                Wire::Slice(pb::SliceCounter { slice, measure })
            }
            Counter::OtherNames => plain(Plain::OtherNames),
        };
        Self { counter: Some(counter), value: counted.value }
    }
}

impl From<Measure> for pb::Measure {
    fn from(measure: Measure) -> Self {
        match measure {
            Measure::Documents => Self::Documents,
            Measure::TextBytes => Self::TextBytes,
            Measure::JsonBytes => Self::JsonBytes,
            Measure::Tokens => Self::Tokens,
        }
    }
}

impl From<Bucket> for pb::Bucket {
    fn from(bucket: Bucket) -> Self {
        match bucket {
            Bucket::Head => Self::Head,
            Bucket::Middle => Self::Middle,
            Bucket::Tail => Self::Tail,
            Bucket::All => Self::All,
        }
    }
}

fn plain(number: i32) -> Result<Counter, MalformedMessage> {
    use pb::PlainCounter as Plain;
    let counter = Plain::try_from(number).map_err(|_| MalformedMessage::UnknownCounter)?;
    Ok(match counter {
        Plain::Unspecified => return Err(MalformedMessage::UnknownCounter),
        Plain::Inputs => Counter::Inputs,
        Plain::ExcludedInputs => Counter::ExcludedInputs,
        Plain::LineCount => Counter::Lines,
        Plain::LineKeys => Counter::LineKeys,
        Plain::Keys => Counter::Keys,
        Plain::DistinctKeys => Counter::DistinctKeys,
        Plain::Duplicates => Counter::Duplicates,
        Plain::LinesIn => Counter::LinesIn,
        Plain::DuplicateLines => Counter::DuplicateLines,
        Plain::MissingFiles => Counter::MissingFiles,
        Plain::OmittedFiles => Counter::OmittedFiles,
        Plain::DamagedCharacters => Counter::DamagedCharacters,
        Plain::DamagedInputs => Counter::DamagedInputs,
        Plain::StagedJsonBytes => Counter::StagedJsonBytes,
        Plain::Signed => Counter::Signed,
        Plain::Unsigned => Counter::Unsigned,
        Plain::BandGroups => Counter::BandGroups,
        Plain::Connected => Counter::Connected,
        Plain::Components => Counter::Components,
        Plain::Compared => Counter::Compared,
        Plain::Dissimilar => Counter::Dissimilar,
        Plain::NearDuplicates => Counter::NearDuplicates,
        Plain::Clusters => Counter::Clusters,
        Plain::Shards => Counter::Shards,
        Plain::OtherNames => Counter::OtherNames,
    })
}

fn measure_from_wire(number: i32) -> Result<Measure, MalformedMessage> {
    match pb::Measure::try_from(number) {
        Ok(pb::Measure::Documents) => Ok(Measure::Documents),
        Ok(pb::Measure::TextBytes) => Ok(Measure::TextBytes),
        Ok(pb::Measure::JsonBytes) => Ok(Measure::JsonBytes),
        Ok(pb::Measure::Tokens) => Ok(Measure::Tokens),
        Ok(pb::Measure::Unspecified) | Err(_) => Err(MalformedMessage::UnknownCounter),
    }
}

fn bucket_from_wire(number: i32) -> Result<Bucket, MalformedMessage> {
    match pb::Bucket::try_from(number) {
        Ok(pb::Bucket::Head) => Ok(Bucket::Head),
        Ok(pb::Bucket::Middle) => Ok(Bucket::Middle),
        Ok(pb::Bucket::Tail) => Ok(Bucket::Tail),
        Ok(pb::Bucket::All) => Ok(Bucket::All),
        Ok(pb::Bucket::Unspecified) | Err(_) => Err(MalformedMessage::UnknownCounter),
    }
}

/// Converts the counters of a result.
pub(super) fn counters_from_wire(
    counters: Vec<pb::CounterValue>,
) -> Result<Vec<CounterValue>, MalformedMessage> {
    counters.into_iter().map(CounterValue::try_from).collect()
}

/// Converts the counters of a result back.
pub(super) fn counters_to_wire(counters: Vec<CounterValue>) -> Vec<pb::CounterValue> {
    counters.into_iter().map(pb::CounterValue::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every counter, with every measure and bucket.
    fn every() -> Vec<Counter> {
        let label = || "label".to_owned();
        let mut all = vec![
            Counter::Inputs,
            Counter::ExcludedInputs,
            Counter::ExcludedInput { input: label() },
            Counter::Lines,
            Counter::LineKeys,
            Counter::Keys,
            Counter::DistinctKeys,
            Counter::Duplicates,
            Counter::LinesIn,
            Counter::DuplicateLines,
            Counter::RemovedLines { rule: label() },
            Counter::MissingFiles,
            Counter::OmittedFiles,
            Counter::DamagedCharacters,
            Counter::DamagedInputs,
            Counter::DamagedInput { input: label() },
            Counter::StagedJsonBytes,
            Counter::Signed,
            Counter::Unsigned,
            Counter::BandGroups,
            Counter::Connected,
            Counter::Components,
            Counter::Compared,
            Counter::Dissimilar,
            Counter::NearDuplicates,
            Counter::Clusters,
            Counter::Shards,
            Counter::OtherNames,
        ];
        for measure in Measure::ALL {
            all.push(Counter::Language { language: label(), measure });
            all.push(Counter::Slice { slice: label(), measure });
        }
        all.extend(Bucket::ALL.map(|bucket| Counter::Bucket { language: label(), bucket }));
        all
    }

    #[test]
    fn every_counter_survives_the_wire() {
        let mut plain = Vec::new();
        for (value, counter) in (1..).zip(every()) {
            let counted = counter.with(value);
            let sent = pb::CounterValue::from(counted.clone());
            if let Some(Wire::Plain(number)) = sent.counter {
                plain.push(number);
            }
            assert_eq!(CounterValue::try_from(sent), Ok(counted));
        }
        plain.sort_unstable();
        assert_eq!(plain, (1..=25).collect::<Vec<_>>(), "a new counter belongs into the list");
        assert!(pb::PlainCounter::try_from(26).is_err(), "a new counter belongs into the list");
    }

    #[test]
    fn counters_that_this_version_does_not_know_are_refused() {
        let label = String::new;
        let language = |measure| pb::LanguageCounter { language: label(), measure };
        let slice = |measure| pb::SliceCounter { slice: label(), measure };
        let bucket = |bucket| pb::BucketCounter { language: label(), bucket };
        for counter in [
            None,
            Some(Wire::Plain(0)),
            Some(Wire::Plain(26)),
            Some(Wire::Language(language(0))),
            Some(Wire::Language(language(5))),
            Some(Wire::Slice(slice(0))),
            Some(Wire::Slice(slice(5))),
            Some(Wire::Bucket(bucket(0))),
            Some(Wire::Bucket(bucket(5))),
        ] {
            let received = CounterValue::try_from(pb::CounterValue { counter, value: 1 });
            assert_eq!(received, Err(MalformedMessage::UnknownCounter));
        }
    }
}
