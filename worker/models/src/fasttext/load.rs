//! Reads a model file: header, vocabulary, input matrix, output matrix, in that order.
//!
//! Understood are supervised models of format 11 and 12, dense (`.bin`) and quantised (`.ftz`).
//! Every other file is refused with its name, the offset and the reason; the loader never trusts
//! a size (see `source`) and checks all that prediction relies on, so that prediction cannot
//! go out of bounds. Training, and models of word vectors, are not this module's business.

use std::io::Read;

use super::error::{LoadError, MAGIC};
use super::matrix::Matrix;
use super::output::{Output, SigmoidTable, Tree};
use super::source::Source;
use super::vocabulary::{NgramRows, Settings, Vocabulary};

const VERSIONS: std::ops::RangeInclusive<i32> = 11..=12;
/// Format 11 ignored character n-grams in supervised models, whatever its header says.
const VERSION_WITHOUT_SUBWORDS: i32 = 11;
const SUPERVISED: i32 = 3;

/// Limits far above any real model, so that hostile numbers cannot make work explode.
const DIMENSIONS_MAX: usize = 1 << 16;
const NGRAM_MAX: usize = 64;
/// The bits of a pruned model's buckets then take 64 MiB.
const BUCKETS_MAX: usize = 1 << 28;

pub(super) struct Parts {
    pub(super) settings: Settings,
    pub(super) vocabulary: Vocabulary,
    pub(super) ngrams: NgramRows,
    pub(super) input: Matrix,
    pub(super) output: Matrix,
    pub(super) loss: Output,
}

#[derive(Clone, Copy)]
enum Loss {
    HierarchicalSoftmax,
    NegativeSampling,
    Softmax,
    OneVsAll,
}

struct Header {
    settings: Settings,
    loss: Loss,
}

pub(super) fn read<R: Read>(source: &mut Source<R>) -> Result<Parts, LoadError> {
    let Header { settings, loss } = read_header(source)?;
    let (vocabulary, pruned) = Vocabulary::read(source)?;
    let ngrams = match pruned {
        Some(count) => NgramRows::read_pruned(source, settings.buckets, count)?,
        None => NgramRows::all(settings.buckets),
    };
    let dimensions = settings.dimensions;
    let rows = vocabulary.words() + ngrams.rows();
    let quantised = source.flag("the quantisation flag of the input matrix")?;
    let input = if quantised {
        Matrix::read_quantised(source, dimensions, rows, "the input matrix")?
    } else if pruned.is_some() {
        return Err(source.malformed("the vocabulary is pruned, but the input matrix is dense"));
    } else {
        Matrix::read_dense(source, dimensions, rows, "the input matrix")?
    };
    let labels = vocabulary.label_counts().len();
    let quantised_output = source.flag("the quantisation flag of the output matrix")?;
    let output = if quantised && quantised_output {
        Matrix::read_quantised(source, dimensions, labels, "the output matrix")?
    } else {
        Matrix::read_dense(source, dimensions, labels, "the output matrix")?
    };
    let loss = match loss {
        Loss::HierarchicalSoftmax => {
            Output::HierarchicalSoftmax(Tree::new(vocabulary.label_counts()))
        }
        Loss::Softmax => Output::Softmax,
        Loss::NegativeSampling | Loss::OneVsAll => Output::Independent(SigmoidTable::new()),
    };
    if source.remaining() != 0 {
        let left = source.remaining();
        return Err(source.malformed(format!("`{left}` bytes follow the output matrix")));
    }
    Ok(Parts { settings, vocabulary, ngrams, input, output, loss })
}

fn read_header<R: Read>(source: &mut Source<R>) -> Result<Header, LoadError> {
    let magic = source.int("the magic number")?;
    if magic != MAGIC {
        return Err(without_magic(source, magic));
    }
    let version = source.int("the format version")?;
    if !VERSIONS.contains(&version) {
        return Err(source.malformed(format!(
            "format version `{version}` is unknown, only {} and {} are",
            VERSIONS.start(),
            VERSIONS.end()
        )));
    }
    let dimensions = source.int_within("the dimension count", 1..=DIMENSIONS_MAX)?;
    source.array::<16>("training settings")?;
    let word_ngrams = source.int_within("the longest word n-gram", 0..=NGRAM_MAX)?;
    let loss = match source.int("the loss")? {
        1 => Loss::HierarchicalSoftmax,
        2 => Loss::NegativeSampling,
        3 => Loss::Softmax,
        4 => Loss::OneVsAll,
        other => return Err(source.malformed(format!("loss `{other}` is unknown"))),
    };
    match source.int("the model kind")? {
        SUPERVISED => (),
        1 | 2 => return Err(LoadError::Unsupervised { name: source.name().to_owned() }),
        other => return Err(source.malformed(format!("model kind `{other}` is unknown"))),
    }
    let buckets = source.int_within("the bucket count", 0..=BUCKETS_MAX)?;
    let min_chars = source.int_within("the shortest character n-gram", 0..=NGRAM_MAX)?;
    let mut max_chars = source.int_within("the longest character n-gram", 0..=NGRAM_MAX)?;
    source.array::<12>("training settings")?;
    if version == VERSION_WITHOUT_SUBWORDS {
        max_chars = 0;
    }
    if buckets == 0 && (max_chars > 0 || word_ngrams > 1) {
        return Err(source.malformed("there are n-grams, but `0` buckets for them"));
    }
    let settings =
        Settings { dimensions, word_ngrams, min_chars, max_chars, buckets: buckets as u32 };
    Ok(Header { settings, loss })
}

/// Names the old format if the next fields look like its header, which began with the settings.
fn without_magic<R: Read>(source: &mut Source<R>, magic: i32) -> LoadError {
    let name = source.name().to_owned();
    let mut next = || source.int("the old header").unwrap_or(-1);
    let [window, epochs, _, _, word_ngrams, loss, kind]: [i32; 7] = std::array::from_fn(|_| next());
    let plausible = (1..=10_000).contains(&magic)
        && (0..=1000).contains(&window)
        && (0..=1_000_000).contains(&epochs)
        && (0..=64).contains(&word_ngrams)
        && (1..=3).contains(&loss)
        && (1..=3).contains(&kind);
    if plausible { LoadError::OldFormat { name } } else { LoadError::NotAModel { name, magic } }
}
