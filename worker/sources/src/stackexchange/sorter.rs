//! Sorts posts by question in bounded memory: sorted runs are written to disk and merged.
//!
//! **Invariant:** the output is a function of the input, and does not depend on the runs.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::posts::Post;

/// Number of runs that are merged at once. If there are more, they are first merged into larger
/// runs.
const FAN_IN: usize = 64;

/// A value that can be sorted on disk.
pub(super) trait Sortable: Serialize + DeserializeOwned {
    /// The type of the key. Two values that are sorted together must not have the same key.
    type Key: Ord + Copy;

    /// Returns the key by which values are sorted.
    fn key(&self) -> Self::Key;

    /// Returns the approximate size in memory in bytes, without the size of the type itself.
    fn bytes(&self) -> u64;
}

/// A post with the key that sorts it to its question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sorted {
    /// The question, whether the post is an answer, and the offset of the post in the file.
    pub(super) key: (u64, bool, u64),
    /// The length of the post's row in bytes.
    pub(super) bytes: u64,
    pub(super) post: Post,
}

impl Sortable for Sorted {
    type Key = (u64, bool, u64);

    fn key(&self) -> Self::Key {
        self.key
    }

    fn bytes(&self) -> u64 {
        // A parsed post is smaller than its row.
        self.bytes
    }
}

/// Collects values in any order, and returns them sorted.
pub(super) struct Sorter<T: Sortable> {
    folder: PathBuf,
    memory: usize,
    held: Vec<T>,
    held_bytes: usize,
    runs: Vec<PathBuf>,
    written: usize,
}

impl<T: Sortable> Sorter<T> {
    /// Returns an empty sorter. `folder` is created for the first run, and removed at the end.
    pub(super) fn new(folder: &Path, memory: u64) -> Self {
        Self {
            folder: folder.to_owned(),
            memory: memory as usize,
            held: Vec::new(),
            held_bytes: 0,
            runs: Vec::new(),
            written: 0,
        }
    }

    /// Adds a value, and writes a run if the memory is used up.
    pub(super) fn push(&mut self, sorted: T) -> io::Result<()> {
        self.held_bytes += sorted.bytes() as usize + size_of::<T>();
        self.held.push(sorted);
        if self.held_bytes >= self.memory { self.spill() } else { Ok(()) }
    }

    /// Passes all values to `give`, in order.
    pub(super) fn finish(mut self, give: &mut dyn FnMut(T) -> io::Result<()>) -> io::Result<()> {
        if self.runs.is_empty() {
            self.held.sort_unstable_by_key(T::key);
            return self.held.drain(..).try_for_each(give);
        }
        self.spill()?;
        while self.runs.len() > FAN_IN {
            let some: Vec<PathBuf> = self.runs.drain(..FAN_IN).collect();
            let mut run = self.create()?;
            merge(&some, &mut |sorted: T| write(&mut run, &sorted))?;
            run.flush()?;
            some.iter().try_for_each(std::fs::remove_file)?;
        }
        merge(&self.runs, give)
    }

    fn spill(&mut self) -> io::Result<()> {
        if self.held.is_empty() {
            return Ok(());
        }
        self.held.sort_unstable_by_key(T::key);
        let held = std::mem::take(&mut self.held);
        let mut run = self.create()?;
        held.iter().try_for_each(|sorted| write(&mut run, sorted))?;
        self.held_bytes = 0;
        run.flush()
    }

    fn create(&mut self) -> io::Result<BufWriter<File>> {
        std::fs::create_dir_all(&self.folder)?;
        let path = self.folder.join(format!("run-{}", self.written));
        self.written += 1;
        self.runs.push(path.clone());
        Ok(BufWriter::new(File::create(path)?))
    }
}

impl<T: Sortable> Drop for Sorter<T> {
    fn drop(&mut self) {
        if self.written > 0 {
            // If this fails, the folder is removed with the scratch folder of the unit.
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

fn write(run: &mut impl Write, sorted: &impl Sortable) -> io::Result<()> {
    let line = serde_json::to_vec(sorted)?;
    run.write_all(&(line.len() as u32).to_le_bytes())?;
    run.write_all(&line)
}

fn read<T: Sortable>(run: &mut impl Read) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    match run.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let mut line = vec![0; u32::from_le_bytes(length) as usize];
    run.read_exact(&mut line)?;
    Ok(Some(serde_json::from_slice(&line)?))
}

fn merge<T: Sortable>(
    runs: &[PathBuf],
    give: &mut dyn FnMut(T) -> io::Result<()>,
) -> io::Result<()> {
    let mut readers = Vec::with_capacity(runs.len());
    let mut heads = BinaryHeap::new();
    let mut next = Vec::with_capacity(runs.len());
    for (number, path) in runs.iter().enumerate() {
        let mut reader = BufReader::new(File::open(path)?);
        let first: Option<T> = read(&mut reader)?;
        heads.extend(first.as_ref().map(|sorted| Reverse((sorted.key(), number))));
        readers.push(reader);
        next.push(first);
    }
    while let Some(Reverse((_, number))) = heads.pop() {
        let after: Option<T> = read(&mut readers[number])?;
        heads.extend(after.as_ref().map(|sorted| Reverse((sorted.key(), number))));
        if let Some(sorted) = std::mem::replace(&mut next[number], after) {
            give(sorted)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_depend_on_memory_or_on_the_number_of_runs() {
        let posts: Vec<Sorted> = (0..1000_u64)
            .map(|n| Sorted {
                key: (n * 7919 % 97, n % 3 > 0, n),
                bytes: 10,
                post: Post { id: n, ..Post::default() },
            })
            .collect();
        let mut keys: Vec<_> = posts.iter().map(|sorted| sorted.key).collect();
        keys.sort_unstable();
        for memory in [1, 3000, 1 << 20] {
            let folder = tempfile::tempdir().unwrap();
            let mut sorter = Sorter::new(&folder.path().join("runs"), memory);
            posts.iter().try_for_each(|sorted| sorter.push(sorted.clone())).unwrap();
            let mut found = Vec::new();
            sorter
                .finish(&mut |sorted| {
                    found.push(sorted.key);
                    Ok(())
                })
                .unwrap();
            assert_eq!(found, keys, "{memory} bytes");
            assert!(!folder.path().join("runs").try_exists().unwrap());
        }
    }
}
