//! A request to a batch system, and the command line that makes it.
//!
//! Times and counts are checked here only against what no batch system can give; the site profile
//! has the limits of a site. Every argument is a whole string for `exec`: no shell reads it, so
//! nothing is quoted.

use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use super::AllocationId;

/// Placeholder in an output path for the id of the allocation.
pub const ID_PLACEHOLDER: &str = "{id}";

/// Longest name of an allocation; batch systems truncate or refuse longer ones.
const NAME_CHARS_MAX: usize = 64;

/// A request for nodes for some time, and the script that runs on them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllocationRequest {
    /// Name shown in queue listings.
    pub name: String,
    /// Number of whole nodes.
    pub nodes: NonZeroU32,
    /// Time limit, which is rounded up to the unit of the batch system.
    pub walltime: Duration,
    /// Slurm's partition or the queue of another system; the site's default if absent.
    pub queue: Option<String>,
    /// The project that is charged.
    pub account: Option<String>,
    /// Quality of service, if the batch system has it.
    pub qos: Option<String>,
    /// Name of a reservation of nodes that exists already.
    pub reservation: Option<String>,
    /// Features that the nodes must have, by the site's names: `nvme`, `smt1`.
    pub features: Vec<String>,
    /// Time before the end at which the script is sent a signal; the signal may come earlier.
    pub warn_before: Option<Duration>,
    /// File to which the script's output is appended; `{id}` is replaced by the allocation's id.
    pub output: Option<String>,
    /// File for the script's errors; the same as for its output if absent.
    pub errors: Option<String>,
    /// The allocation that must have ended, in any way, before this one starts.
    pub after: Option<AllocationId>,
    /// Whether the batch system may run the script again under the same id.
    pub rerun: Rerun,
    /// Further options for the submitting command, passed unchanged after all others.
    pub extra: Vec<String>,
    /// The script, which runs once.
    pub script: PathBuf,
}

/// Whether the batch system may start the script again under the same id, after it lost a node or
/// was preempted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rerun {
    /// The batch system may start the script again.
    Allowed,
    /// The allocation ends there.
    Forbidden,
}

/// Why a request cannot be made to a batch system.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum RequestError {
    /// The batch system does not support a part of the request.
    #[error("`{system}` has no {what}, but `{value}` was requested\nhint: {hint}")]
    Unsupported {
        /// The batch system's name.
        system: &'static str,
        /// The feature that it does not have.
        what: &'static str,
        /// The value that was requested.
        value: String,
        /// What to do instead.
        hint: &'static str,
    },

    /// A value would be misread by the batch system.
    #[error("`{value}` cannot be the {what} of an allocation\nhint: {hint}")]
    Value {
        /// The part of the request that has the value.
        what: &'static str,
        /// The value that was requested.
        value: String,
        /// What to write instead.
        hint: &'static str,
    },
}

impl AllocationRequest {
    /// Refuses values that no batch system accepts, so that adapters need not check them.
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
                hint: "write a time that is less than the walltime",
            }),
            Some(_) | None => Ok(()),
        }
    }
}

impl AllocationRequest {
    /// Returns the script as an argument that is never read as an option.
    pub fn script_argument(&self) -> Result<String, RequestError> {
        match self.script.to_str() {
            Some("") | None => Err(RequestError::Value {
                what: "script",
                value: self.script.to_string_lossy().into_owned(),
                hint: "use a path that is valid UTF-8",
            }),
            Some(path) if path.starts_with('-') => Ok(format!("./{path}")),
            Some(path) => Ok(path.to_owned()),
        }
    }
}

/// Checks a name of a site's queue or the like: none that we know of has blanks, separators or a
/// leading dash.
fn check_word(what: &'static str, word: &str) -> Result<(), RequestError> {
    let fine = word.starts_with(|c: char| c.is_alphanumeric() || c == '_')
        && word.chars().all(|c| c.is_alphanumeric() || "_-.:@+/=".contains(c));
    if fine {
        return Ok(());
    }
    let hint = "write letters, digits and `_-.:@+/=`, a letter or digit first";
    Err(RequestError::Value { what, value: word.to_owned(), hint })
}

/// A program and its arguments, in the form that `exec` takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    /// Name of the program, which is searched on the path.
    pub program: &'static str,
    /// The arguments; no shell reads them.
    pub arguments: Vec<String>,
    /// File that the program reads as standard input; empty input if absent.
    pub stdin: Option<PathBuf>,
    /// Environment variables that the program must not inherit; a name that ends with `*` stands
    /// for all that start with the rest.
    pub unset: &'static [&'static str],
    /// Variables that it inherits although `unset` has them.
    pub keep: &'static [&'static str],
}

impl CommandLine {
    /// Returns the command line of a program without arguments or input.
    pub fn new(program: &'static str) -> Self {
        Self { program, arguments: Vec::new(), stdin: None, unset: &[], keep: &[] }
    }

    /// Returns whether the program must not inherit a variable of this name.
    pub fn unsets(&self, variable: &str) -> bool {
        let named = |name: &&str| match name.strip_suffix('*') {
            Some(start) => variable.starts_with(start),
            None => variable == *name,
        };
        self.unset.iter().any(named) && !self.keep.iter().any(named)
    }

    /// Adds an argument.
    #[must_use]
    pub fn argument(mut self, text: impl Into<String>) -> Self {
        self.arguments.push(text.into());
        self
    }

    /// Adds `--name=value` if there is a value.
    #[must_use]
    pub fn long(self, name: &str, value: Option<impl fmt::Display>) -> Self {
        match value {
            Some(value) => self.argument(format!("--{name}={value}")),
            None => self,
        }
    }

    /// Adds `-name` and then the value as arguments of their own, if there is a value.
    #[must_use]
    pub fn short(self, name: &str, value: Option<impl fmt::Display>) -> Self {
        match value {
            Some(value) => self.argument(format!("-{name}")).argument(value.to_string()),
            None => self,
        }
    }
}

/// Prints the command as a person would type it into a shell, quoted as needed.
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

/// Lines of a batch script that a batch system reads as options of its submitting command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directives {
    /// What each line starts with: `#SBATCH`.
    sentinel: &'static str,
    lines: Vec<String>,
}

impl Directives {
    /// Returns no lines, each of which will start with `sentinel`.
    pub fn new(sentinel: &'static str) -> Self {
        Self { sentinel, lines: Vec::new() }
    }

    /// Adds a line with these words, each of which is an option or its value.
    ///
    /// # Errors
    /// Fails if a word has a character that batch systems read in different ways within quotes.
    pub fn line<W: AsRef<str>>(
        mut self,
        words: impl IntoIterator<Item = W>,
    ) -> Result<Self, RequestError> {
        let mut line = self.sentinel.to_owned();
        for word in words {
            line.push(' ');
            line.push_str(&directive_word(word.as_ref())?);
        }
        self.lines.push(line);
        Ok(self)
    }

    /// Adds a line `--name=value` if there is a value.
    ///
    /// # Errors
    /// Like [`Directives::line`].
    pub fn long(self, name: &str, value: Option<impl fmt::Display>) -> Result<Self, RequestError> {
        match value {
            Some(value) => self.line([format!("--{name}={value}")]),
            None => Ok(self),
        }
    }

    /// Adds a line `-name value` if there is a value.
    ///
    /// # Errors
    /// Like [`Directives::line`].
    pub fn short(self, name: &str, value: Option<impl fmt::Display>) -> Result<Self, RequestError> {
        match value {
            Some(value) => self.line([format!("-{name}"), value.to_string()]),
            None => Ok(self),
        }
    }

    /// Adds further options on one line, because only their program knows which words belong
    /// together.
    ///
    /// # Errors
    /// Like [`Directives::line`].
    pub fn further(self, options: &[String]) -> Result<Self, RequestError> {
        if options.is_empty() { Ok(self) } else { self.line(options) }
    }
}

/// Prints the lines, each with its end.
impl fmt::Display for Directives {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// Quotes a word as all batch systems read it: between double quotes, in which nothing is special.
fn directive_word(word: &str) -> Result<String, RequestError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.,:@%+=/{}^".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return Ok(word.to_owned());
    }
    if word.chars().any(|c| c.is_control() || "\"\\".contains(c)) {
        let hint = "use names without quotation marks, backslashes and line ends";
        return Err(RequestError::Value { what: "option", value: word.to_owned(), hint });
    }
    Ok(format!("\"{word}\""))
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
    fn words_that_would_be_misread_are_refused() {
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
    fn impossible_times_are_refused() {
        let zero = AllocationRequest { walltime: Duration::ZERO, ..request() };
        assert!(zero.check().is_err());
        let early = AllocationRequest { warn_before: Some(request().walltime), ..request() };
        assert!(early.check().unwrap_err().to_string().contains("`7200s`"));
    }

    #[test]
    fn a_script_is_never_read_as_an_option() {
        let dashed = AllocationRequest { script: PathBuf::from("--wrap=id"), ..request() };
        assert_eq!(dashed.script_argument().as_deref(), Ok("./--wrap=id"));
        let none = AllocationRequest { script: PathBuf::new(), ..request() };
        assert!(none.script_argument().is_err());
    }

    #[test]
    fn directives_are_quoted_only_as_all_systems_read_it() {
        let lines = Directives::new("#SBATCH")
            .long("nodes", Some(4))
            .and_then(|lines| lines.long("qos", None::<&str>))
            .and_then(|lines| lines.short("o", Some("/it's here/%j")))
            .and_then(|lines| lines.further(&["-S".to_owned(), "0".to_owned()]));
        let lines = lines.unwrap();
        assert_eq!(
            lines.to_string(),
            "#SBATCH --nodes=4\n#SBATCH -o \"/it's here/%j\"\n#SBATCH -S 0\n"
        );
        for word in ["a\"b", "a\\b", "a\n#SBATCH --nodes=5"] {
            let error = lines.clone().line([word]).unwrap_err().to_string();
            assert!(error.contains("quotation marks"), "{error}");
        }
    }

    #[test]
    fn a_variable_is_unset_by_its_name_or_start_unless_it_is_kept() {
        let line = CommandLine {
            unset: &["SLURM_*", "PBS_JOBID"],
            keep: &["SLURM_CONF"],
            ..CommandLine::new("sbatch")
        };
        for name in ["SLURM_CPU_BIND", "SLURM_", "PBS_JOBID"] {
            assert!(line.unsets(name), "{name}");
        }
        for name in ["SLURM_CONF", "SLURM", "PBS_JOBIDS", "PATH"] {
            assert!(!line.unsets(name), "{name}");
        }
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
