//! What is asked of a batch system, and the command that asks for it.
//!
//! Times and counts are checked here only for what no batch system could give; limits of a site
//! are the site profile's. Every argument is a whole string for `exec`: no shell sees it, so
//! nothing is quoted.

use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use super::AllocationId;

/// Stands in an output path for the id of the allocation.
pub const ID_PLACEHOLDER: &str = "{id}";

/// Longest name of an allocation: batch systems cut or refuse longer ones.
const NAME_CHARS_MAX: usize = 64;

/// Nodes for a time, and what runs on them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllocationRequest {
    /// Shown in queue listings.
    pub name: String,
    /// Whole nodes.
    pub nodes: NonZeroU32,
    /// Rounded up to what the batch system counts in.
    pub walltime: Duration,
    /// Slurm's partition, LSF's queue; the site's default when absent.
    pub queue: Option<String>,
    /// Whom it is charged to.
    pub account: Option<String>,
    /// Quality of service, where there is such a thing.
    pub qos: Option<String>,
    /// Of nodes, made beforehand.
    pub reservation: Option<String>,
    /// What the nodes must offer, by the site's names: `nvme`, `smt1`.
    pub features: Vec<String>,
    /// How long before its end the script wants a signal; it may come earlier.
    pub warn_before: Option<Duration>,
    /// Where the script's output goes, `{id}` standing for the allocation; appended to.
    pub output: Option<String>,
    /// Where its errors go; with its output when absent.
    pub errors: Option<String>,
    /// Starts when this one has ended, however it ended.
    pub after: Option<AllocationId>,
    /// Whether the batch system may run it again under the same id.
    pub rerun: Rerun,
    /// Given to the submitting command as they are, after all others.
    pub extra: Vec<String>,
    /// What runs, once.
    pub script: PathBuf,
}

/// May the batch system start the script again under the same id, after a lost node or preemption?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rerun {
    /// It goes on by itself.
    Allowed,
    /// It ends there.
    Forbidden,
}

/// Why a batch system cannot be asked for this.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum RequestError {
    /// The batch system has no such thing.
    #[error("`{system}` knows no {what}, yet `{value}` was asked for\nhint: {hint}")]
    Unsupported {
        /// The batch system's name.
        system: &'static str,
        /// What it does not know.
        what: &'static str,
        /// What was asked for.
        value: String,
        /// What to do.
        hint: &'static str,
    },

    /// A value that would be read as something else.
    #[error("`{value}` cannot be the {what} of an allocation\nhint: {hint}")]
    Value {
        /// What it was meant to be.
        what: &'static str,
        /// What was asked for.
        value: String,
        /// What to write instead.
        hint: &'static str,
    },
}

impl AllocationRequest {
    /// Refuses what no batch system can be asked for, so that adapters need not look again.
    pub fn check(&self) -> Result<(), RequestError> {
        let words = [
            ("queue", &self.queue),
            ("account", &self.account),
            ("qos", &self.qos),
            ("reservation", &self.reservation),
        ];
        let words = words.into_iter().filter_map(|(what, word)| Some((what, word.as_deref()?)));
        let features = self.features.iter().map(|f| ("feature", f.as_str()));
        words.chain(features).try_for_each(|(what, word)| check_word(what, word))?;
        check_word("name", &self.name)?;
        if self.name.chars().count() > NAME_CHARS_MAX {
            let hint = "write at most 64 characters";
            return Err(RequestError::Value { what: "name", value: self.name.clone(), hint });
        }
        if self.walltime.is_zero() {
            let hint = "write a time like `2h`";
            return Err(RequestError::Value { what: "walltime", value: "0s".to_owned(), hint });
        }
        match self.warn_before {
            Some(lead) if lead >= self.walltime => Err(RequestError::Value {
                what: "warning time",
                value: format!("{}s", lead.as_secs()),
                hint: "warn later than at the start: it must be less than the walltime",
            }),
            Some(_) | None => Ok(()),
        }
    }
}

impl AllocationRequest {
    /// The script as an argument that is never taken for an option.
    pub fn script_argument(&self) -> Result<String, RequestError> {
        match self.script.to_str() {
            Some("") | None => Err(RequestError::Value {
                what: "script",
                value: self.script.to_string_lossy().into_owned(),
                hint: "use a path of UTF-8 characters",
            }),
            Some(path) if path.starts_with('-') => Ok(format!("./{path}")),
            Some(path) => Ok(path.to_owned()),
        }
    }
}

/// Names of a site's things have no blanks, separators or leading dash anywhere that we know of.
fn check_word(what: &'static str, word: &str) -> Result<(), RequestError> {
    let fine = word.starts_with(|c: char| c.is_alphanumeric() || c == '_')
        && word.chars().all(|c| c.is_alphanumeric() || "_-.:@+/=".contains(c));
    if fine {
        return Ok(());
    }
    let hint = "write letters, digits and `_-.:@+/=`, a letter or digit first";
    Err(RequestError::Value { what, value: word.to_owned(), hint })
}

/// A program and its arguments, as `exec` takes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    /// Found on the path.
    pub program: &'static str,
    /// One string each; no shell reads them.
    pub arguments: Vec<String>,
    /// Read by the program; empty input when absent.
    pub stdin: Option<PathBuf>,
}

impl CommandLine {
    /// A program without arguments or input.
    pub fn new(program: &'static str) -> Self {
        Self { program, arguments: Vec::new(), stdin: None }
    }

    /// Adds an argument.
    #[must_use]
    pub fn argument(mut self, text: impl Into<String>) -> Self {
        self.arguments.push(text.into());
        self
    }

    /// Adds `--name=value` when there is a value.
    #[must_use]
    pub fn long(self, name: &str, value: Option<impl fmt::Display>) -> Self {
        match value {
            Some(value) => self.argument(format!("--{name}={value}")),
            None => self,
        }
    }

    /// Adds `-name` and the value behind it when there is a value.
    #[must_use]
    pub fn short(self, name: &str, value: Option<impl fmt::Display>) -> Self {
        match value {
            Some(value) => self.argument(format!("-{name}")).argument(value.to_string()),
            None => self,
        }
    }
}

/// As a person would type it into a shell: quoted where a shell needs it.
impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.program)?;
        for argument in &self.arguments {
            write!(f, " {}", shell_quoted(argument))?;
        }
        match &self.stdin {
            Some(path) => write!(f, " < {}", shell_quoted(&path.to_string_lossy())),
            None => Ok(()),
        }
    }
}

/// Returns the text as one word of a shell, whatever characters it has.
pub fn shell_quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.,:@%+=/".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> AllocationRequest {
        AllocationRequest {
            name: "crawl".to_owned(),
            nodes: NonZeroU32::MIN,
            walltime: Duration::from_secs(7200),
            queue: None,
            account: None,
            qos: None,
            reservation: None,
            features: Vec::new(),
            warn_before: Some(Duration::from_secs(300)),
            output: None,
            errors: None,
            after: None,
            rerun: Rerun::Allowed,
            extra: Vec::new(),
            script: PathBuf::from("/run/job.sh"),
        }
    }

    #[test]
    fn a_sensible_request_passes() {
        let queue = Some("batch-hm".to_owned());
        let features = vec!["nvme".to_owned()];
        assert_eq!(AllocationRequest { queue, features, ..request() }.check(), Ok(()));
    }

    #[test]
    fn words_that_would_be_read_as_something_else_are_refused() {
        for word in ["", "-q", "two words", "a,b", "a\nb", "a'b", "a&b"] {
            let word = word.to_owned();
            for wrong in [
                AllocationRequest { name: word.clone(), ..request() },
                AllocationRequest { queue: Some(word.clone()), ..request() },
                AllocationRequest { account: Some(word.clone()), ..request() },
                AllocationRequest { qos: Some(word.clone()), ..request() },
                AllocationRequest { reservation: Some(word.clone()), ..request() },
                AllocationRequest { features: vec![word.clone()], ..request() },
            ] {
                assert!(wrong.check().is_err(), "{wrong:?}");
            }
        }
    }

    #[test]
    fn times_that_cannot_be_are_refused() {
        let zero = AllocationRequest { walltime: Duration::ZERO, ..request() };
        assert!(zero.check().is_err());
        let early = AllocationRequest { warn_before: Some(request().walltime), ..request() };
        assert!(early.check().unwrap_err().to_string().contains("`7200s`"));
    }

    #[test]
    fn a_script_is_never_taken_for_an_option() {
        let dashed = AllocationRequest { script: PathBuf::from("--wrap=id"), ..request() };
        assert_eq!(dashed.script_argument().as_deref(), Ok("./--wrap=id"));
        let none = AllocationRequest { script: PathBuf::new(), ..request() };
        assert!(none.script_argument().is_err());
    }

    #[test]
    fn a_command_is_shown_as_a_shell_takes_it() {
        let command = CommandLine {
            stdin: Some(PathBuf::from("/a b/job.sh")),
            ..CommandLine::new("bsub").short("w", Some("ended(7)")).argument("it's;").argument("")
        };
        assert_eq!(command.to_string(), r"bsub -w 'ended(7)' 'it'\''s;' '' < '/a b/job.sh'");
        let command = CommandLine::new("sbatch").long("time", Some("02:00:00"));
        assert_eq!(command.to_string(), "sbatch --time=02:00:00");
    }
}
