//! An invented status of a small job, for the tests of everything that shows one.

use thresher_domain::{Bucket, Counter, Measure};
use thresher_proto::pb::{self, JobState, Stage, StageStatus};

/// A status of a small job at its end, for the tests of everything that shows one.
pub fn example() -> pb::StatusResponse {
    let mut prepare = stage(Stage::Prepare, 3, 10_000_000);
    prepare.done = 2;
    prepare.set_aside = 1;
    prepare.retries = 5;
    prepare.accounting = Some(pb::Accounting {
        records_in: 100,
        kept: 60,
        dropped: vec![count("gopher_quality/too_few_words", 30), count("language/low_score", 8)],
        quarantined: vec![count("gzip_damaged", 2)],
        bytes_in: 5_000_000,
        bytes_kept: 3_000_000,
    });
    let bucket = |bucket| Counter::Bucket { language: "en".to_owned(), bucket };
    prepare.counters = counters([
        (bucket(Bucket::Head), 40),
        (bucket(Bucket::Middle), 20),
        (bucket(Bucket::Tail), 7),
        (Counter::DamagedInputs, 2),
        (Counter::DamagedInput { input: "a.gz".to_owned() }, 1),
        (Counter::DuplicateLines, 400),
        (Counter::LinesIn, 1000),
    ]);
    let excluded = |input: &str| Counter::ExcludedInput { input: input.to_owned() };
    let list = StageStatus {
        counters: counters([
            (Counter::ExcludedInputs, 3),
            (excluded("a.example"), 1),
            (excluded("b.example"), 1),
        ]),
        ..stage(Stage::List, 1, 0)
    };
    pb::StatusResponse {
        job_name: "small".to_owned(),
        state: JobState::CompleteWithGaps.into(),
        epoch: 2,
        version: "0.1.0".to_owned(),
        now_millis: 1_772_366_403_000,
        submitted_millis: 1_772_366_400_000,
        finished_millis: 1_772_366_403_000,
        stages: vec![list, stage(Stage::Lines, 3, 10_000_000), prepare, example_publish()],
        workers: vec![example_worker()],
        set_aside: vec![pb::SetAside {
            unit: Some(pb::UnitRef { stage: Stage::Prepare.into(), ordinal: 1, attempt: 3 }),
            error: "failed to read the input `b.gz`\nhint: look at it".to_owned(),
            attempts: 3,
            class: "data".to_owned(),
            host: "node7".to_owned(),
        }],
        output: "/out/small".to_owned(),
        ..pb::StatusResponse::default()
    }
}

fn count(name: &str, value: u64) -> pb::Count {
    pb::Count { name: name.to_owned(), value }
}

fn counters<const N: usize>(counters: [(Counter, u64); N]) -> Vec<pb::CounterValue> {
    counters.map(|(counter, value)| counter.with(value).into()).into()
}

fn stage(stage: Stage, units: u32, bytes: u64) -> StageStatus {
    StageStatus {
        stage: stage.into(),
        units,
        done: units,
        bytes,
        bytes_done: bytes,
        cpu_millis: 4000,
        started_millis: 1_772_366_400_000,
        ended_millis: 1_772_366_402_000,
        planned: true,
        ..StageStatus::default()
    }
}

fn example_worker() -> pb::WorkerStatus {
    pb::WorkerStatus {
        worker_id: 1,
        host: "node7".to_owned(),
        pid: 42,
        slots: 8,
        held: 3,
        last_seen_millis: 1_772_366_402_000,
        lost: false,
        excluded: String::new(),
    }
}

fn example_publish() -> StageStatus {
    let mut publish = stage(Stage::Publish, 1, 3_000_000);
    publish.accounting = Some(pb::Accounting {
        records_in: 60,
        kept: 55,
        dropped: vec![count("dedup/duplicate_document", 5)],
        quarantined: Vec::new(),
        bytes_in: 3_000_000,
        bytes_kept: 2_750_000,
    });
    let language =
        |language: &str, measure| Counter::Language { language: language.to_owned(), measure };
    let slice = |measure| Counter::Slice { slice: "commoncrawl".to_owned(), measure };
    publish.counters = counters([
        (language("de", Measure::Documents), 15),
        (language("de", Measure::JsonBytes), 750_000),
        (language("en", Measure::Documents), 40),
        (language("en", Measure::JsonBytes), 2_000_000),
        (slice(Measure::Documents), 55),
        (slice(Measure::JsonBytes), 2_750_000),
        (language("de", Measure::Tokens), 500),
        (language("en", Measure::Tokens), 1500),
        (slice(Measure::Tokens), 2000),
    ]);
    publish
}
