//! An invented status of a small job, for the tests of everything that shows one.

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
    prepare.counts = vec![
        count("bucket/en/head", 40),
        count("bucket/en/middle", 20),
        count("bucket/en/tail", 7),
        count("lines/duplicate", 400),
        count("lines/in", 1000),
    ];
    let mut publish = stage(Stage::Publish, 1, 3_000_000);
    publish.accounting = Some(pb::Accounting {
        records_in: 60,
        kept: 55,
        dropped: vec![count("dedup/duplicate_document", 5)],
        quarantined: Vec::new(),
        bytes_in: 3_000_000,
        bytes_kept: 2_750_000,
    });
    publish.counts = vec![
        count("language/de/documents", 15),
        count("language/de/json_bytes", 750_000),
        count("language/en/documents", 40),
        count("language/en/json_bytes", 2_000_000),
        count("slice/commoncrawl/documents", 55),
        count("slice/commoncrawl/json_bytes", 2_750_000),
        count("language/de/tokens", 500),
        count("language/en/tokens", 1500),
        count("slice/commoncrawl/tokens", 2000),
    ];
    pb::StatusResponse {
        job_name: "small".to_owned(),
        state: JobState::CompleteWithGaps.into(),
        epoch: 2,
        version: "0.1.0".to_owned(),
        now_millis: 1_772_366_403_000,
        submitted_millis: 1_772_366_400_000,
        finished_millis: 1_772_366_403_000,
        stages: vec![
            StageStatus {
                counts: [("left_out", 3), ("left_out/a.example", 1), ("left_out/b.example", 1)]
                    .map(|(name, value)| count(name, value))
                    .to_vec(),
                ..stage(Stage::List, 1, 0)
            },
            stage(Stage::Lines, 3, 10_000_000),
            prepare,
            publish,
        ],
        workers: vec![example_worker()],
        set_aside: vec![pb::SetAside {
            unit: Some(pb::UnitRef { stage: Stage::Prepare.into(), ordinal: 1, attempt: 3 }),
            error: "failed to read the input `b.gz`\nhint: look at it".to_owned(),
            attempts: 3,
        }],
        output: "/out/small".to_owned(),
        ..pb::StatusResponse::default()
    }
}

fn count(name: &str, value: u64) -> pb::Count {
    pb::Count { name: name.to_owned(), value }
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
    }
}
