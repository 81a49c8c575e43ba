//! Decides how often a request is retried and how long to wait before.
//!
//! Invariant: blocking waits go through `Sleeper`, so that tests take no time, and every wait and
//! every count has a limit.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use super::StorageError;

/// A failed request.
pub(super) enum Failure {
    /// A retry may succeed; the server may have said when.
    Passing {
        detail: String,
        after: Option<Duration>,
    },
    /// A retry may succeed, but soon or never.
    Doubtful(StorageError),
    Lasting(StorageError),
}

/// Number of attempts in a row that end in a doubtful failure.
const DOUBTFUL_ATTEMPTS: u32 = 4;

/// Waits. Tests use an implementation that does not.
pub trait Sleeper: fmt::Debug + Send + Sync {
    /// Waits for this time.
    fn sleep(&self, duration: Duration);
}

/// Waits in real time.
#[derive(Debug)]
pub struct Pause;

impl Sleeper for Pause {
    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}

/// What is already known of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Its size.
    pub bytes: Option<u64>,
    /// Its ETag, as the listing has it.
    pub etag: Option<String>,
    /// Whether a listing named it, so that it should exist.
    pub listed: bool,
}

/// Limits of retries and waits, and what must be found.
#[derive(Clone, Debug)]
pub struct ReadOptions {
    /// Number of attempts in a row without a byte of progress after which reading fails.
    pub attempts_max: u32,
    /// The first wait. Waits double up to `wait_max`; a random part of up to half of each is left
    /// out.
    pub wait_first: Duration,
    /// The longest wait.
    pub wait_max: Duration,
    /// The longest wait that a server may ask for.
    pub retry_after_max: Duration,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// Longest time in which the server may send nothing.
    pub silence_timeout: Duration,
    /// How to wait.
    pub sleeper: Arc<dyn Sleeper>,
    /// An object on S3 that differs from this is refused as changed.
    pub known: Known,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            attempts_max: 8,
            wait_first: Duration::from_millis(500),
            wait_max: Duration::from_secs(30),
            retry_after_max: Duration::from_secs(300),
            connect_timeout: Duration::from_secs(20),
            silence_timeout: Duration::from_secs(60),
            sleeper: Arc::new(Pause),
            known: Known::default(),
        }
    }
}

/// Counts the failures in a row.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    pub(super) fn progress(&mut self) {
        self.failures = 0;
    }

    /// Returns how long to wait before the next attempt, or `None` if there is no further one.
    pub(super) fn next(
        &mut self,
        options: &ReadOptions,
        asked: Option<Duration>,
    ) -> Option<Duration> {
        self.failures += 1;
        if self.failures >= options.attempts_max {
            return None;
        }
        let doubled = options.wait_first.saturating_mul(1 << (self.failures - 1).min(16));
        let full = doubled.min(options.wait_max);
        // Many readers fail together; random waits prevent them from returning together.
        let jittered = full - full.mul_f64(random_fraction() / 2.0);
        let asked = asked.map_or(Duration::ZERO, |asked| asked.min(options.retry_after_max));
        Some(jittered.max(asked))
    }

    /// Returns how long to wait after this failure, or the error to end with.
    pub(super) fn after(
        &mut self,
        options: &ReadOptions,
        location: &str,
        failure: Failure,
    ) -> Result<Duration, StorageError> {
        match failure {
            Failure::Lasting(error) => Err(error),
            Failure::Doubtful(error) => {
                let wait = self.next(options, None);
                wait.filter(|_| self.failures < DOUBTFUL_ATTEMPTS).ok_or(error)
            }
            Failure::Passing { detail, after } => {
                self.next(options, after).ok_or_else(|| StorageError::Unreachable {
                    location: location.to_owned(),
                    detail,
                    attempts: self.failures,
                })
            }
        }
    }
}

fn random_fraction() -> f64 {
    let random = RandomState::new().build_hasher().finish();
    f64::from((random >> 32) as u32) / f64::from(u32::MAX)
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Records the waits instead of waiting.
    #[derive(Debug, Default)]
    pub(in super::super) struct Waits(Mutex<Vec<Duration>>);

    impl Sleeper for Waits {
        fn sleep(&self, duration: Duration) {
            self.0.lock().unwrap().push(duration);
        }
    }

    impl Waits {
        pub(in super::super) fn taken(&self) -> Vec<Duration> {
            self.0.lock().unwrap().clone()
        }
    }

    #[test]
    fn a_doubtful_answer_is_asked_for_again_for_seconds_only() {
        let options = ReadOptions::default();
        let mut backoff = Backoff::default();
        let doubtful = || Failure::Doubtful(StorageError::NotFound { location: "x".to_owned() });
        let mut waited = Duration::ZERO;
        for _ in 1..DOUBTFUL_ATTEMPTS {
            waited += backoff.after(&options, "x", doubtful()).unwrap();
        }
        assert!((1000..5000).contains(&waited.as_millis()), "{waited:?}");
        let error = backoff.after(&options, "x", doubtful()).unwrap_err();
        assert!(matches!(error, StorageError::NotFound { .. }));
    }
}
