//! Turns a packed paper into its text, or into the reason why it has none.

use thresher_job::LatexRules;

use super::kind::Kind;
use super::paths::normal_path;
pub(super) use super::thresher_rules::PaperText;
use super::thresher_rules::is_tex_name;
use super::unpack::{Damage, PaperFile, Unpacked, gunzipped, unpack, unpack_inner};
use super::unusable::Unusable;
use super::{published, thresher_rules};
use crate::members::Entry;

/// Number of links that are followed one after the other.
const MAX_LINKS: usize = 8;
/// What TeX files contain, by which those are recognised that are not named like one.
const MARKS: [&[u8]; 5] =
    [b"\\documentclass", b"\\documentstyle", b"\\begin{document}", b"\\bye", b"\\magnification"];

/// Why a paper has no text.
#[derive(Debug)]
pub(super) enum NoText {
    Dropped { reason: &'static str, detail: String },
    Quarantined { reason: &'static str, detail: String },
}

impl NoText {
    fn dropped(reason: &'static str) -> Self {
        Self::Dropped { reason, detail: String::new() }
    }
}

impl From<Damage> for NoText {
    fn from(Damage { reason, detail }: Damage) -> Self {
        Self::Quarantined { reason, detail }
    }
}

impl From<Unusable> for NoText {
    fn from(error: Unusable) -> Self {
        let detail = error.to_string();
        match error {
            Unusable::NotUtf8 { .. } => Self::Dropped { reason: "arxiv/not_utf8", detail },
            Unusable::MacroNotAscii { .. } => {
                Self::Dropped { reason: "arxiv/macro_not_ascii", detail }
            }
            Unusable::TooLarge { .. } | Unusable::TooManyMacros | Unusable::Endless { .. } => {
                Self::Quarantined { reason: "paper_too_large", detail }
            }
        }
    }
}

/// Names and bytes of a paper's files, in the order of its tar.
type TexFiles = Vec<(String, Vec<u8>)>;

/// Returns the text of a packed paper of at most `max_bytes`.
pub(super) fn text_of(
    packed: &[u8],
    rules: LatexRules,
    max_bytes: u64,
) -> Result<PaperText, NoText> {
    let unpacked = unpack(packed, max_bytes)?;
    let most = max_bytes as usize;
    let found = match rules {
        LatexRules::RedpajamaV1 => {
            let files = published_files(packed, unpacked, max_bytes)?;
            if files.is_empty() {
                return Err(NoText::dropped("arxiv/no_tex"));
            }
            PaperText { text: published::text_of(&files, most)?, ..PaperText::default() }
        }
        LatexRules::Thresher => our_text(unpacked, max_bytes)?,
    };
    if found.text.is_empty() { Err(NoText::dropped("arxiv/empty")) } else { Ok(found) }
}

/// Returns the text by Thresher's rules. If the upload is damaged after its text, nothing is lost;
/// if its checksum is wrong, nobody knows where it is damaged.
fn our_text(unpacked: Unpacked, max_bytes: u64) -> Result<PaperText, NoText> {
    let Unpacked { mut files, damage, is_altered, .. } = unpacked;
    if !files.iter().any(is_tex) {
        add_inner_files(&mut files, max_bytes);
    }
    let (texts, kinds) = text_files(&files);
    let has_tex = files.iter().any(is_tex);
    let found = match has_tex {
        true => thresher_rules::text_of(&texts, max_bytes as usize)?,
        false => PaperText::default(),
    };
    match damage {
        Some(_) if !is_altered && found.ends && found.missing == 0 && !found.text.is_empty() => {
            Ok(found)
        }
        Some(damage) => Err(damage.into()),
        None if has_tex => Ok(found),
        None => Err(NoText::dropped(reason_without_tex(&kinds))),
    }
}

/// Returns whether a file is TeX, by its name or its content.
fn is_tex(file: &PaperFile) -> bool {
    let is_file = file.entry == Entry::File && !is_metadata(&file.name);
    let has_mark = || MARKS.iter().any(|it| memchr::memmem::find(&file.bytes, it).is_some());
    is_file && Kind::of(&file.bytes) == Kind::Text && (is_tex_name(&file.name) || has_mark())
}

/// Returns whether a name is that of a file in which macOS keeps attributes of another file.
fn is_metadata(name: &str) -> bool {
    name.starts_with("__MACOSX/") || name.rsplit('/').next().is_some_and(|it| it.starts_with("._"))
}

/// Returns the files that are text, also those that are links, and what the others are.
fn text_files(files: &[PaperFile]) -> (TexFiles, Vec<Kind>) {
    let (mut texts, mut kinds) = (Vec::new(), Vec::new());
    for file in files.iter().filter(|file| !is_metadata(&file.name)) {
        let Some(target) = target_of(files, file) else { continue };
        match Kind::of(&target.bytes) {
            Kind::Text | Kind::Empty => texts.push((file.name.clone(), target.bytes.clone())),
            kind @ (Kind::Withdrawn | Kind::Html | Kind::PostScript | Kind::Pdf | Kind::Binary) => {
                kinds.push(kind);
            }
        }
    }
    (texts, kinds)
}

/// Returns the file to which a link leads, or the file itself.
fn target_of<'f>(files: &'f [PaperFile], file: &'f PaperFile) -> Option<&'f PaperFile> {
    let mut file = file;
    for _ in 0..MAX_LINKS {
        match file.entry {
            Entry::File => return Some(file),
            Entry::Link | Entry::HardLink => {
                let folder = file.name.rsplit_once('/').map_or("", |(folder, _)| folder);
                let beside = normal_path(&format!("{folder}/{}", file.target));
                let target = normal_path(&file.target);
                let named =
                    |path: &str| files.iter().rev().find(|it| normal_path(&it.name) == path);
                file = named(&beside).or_else(|| named(&target))?;
            }
            Entry::Folder | Entry::Special | Entry::Extension(_) => return None,
        }
    }
    None
}

/// Adds the files of tars and packed files in a paper that has no TeX file beside them.
fn add_inner_files(files: &mut Vec<PaperFile>, max_bytes: u64) {
    let mut left = max_bytes.saturating_sub(files.iter().map(|it| it.bytes.len() as u64).sum());
    let mut found = Vec::new();
    for file in files.iter().filter(|file| file.entry == Entry::File) {
        let Ok(Some(inner)) = unpack_inner(&file.bytes, left) else { continue };
        for mut inner_file in inner.files {
            if inner.single {
                let name = file.name.rsplit_once('.').map_or(file.name.as_str(), |(stem, _)| stem);
                name.clone_into(&mut inner_file.name);
            }
            left = left.saturating_sub(inner_file.bytes.len() as u64);
            found.push(inner_file);
        }
    }
    files.append(&mut found);
}

/// Returns the reason to drop a paper whose files are of these kinds, none of which is TeX.
fn reason_without_tex(kinds: &[Kind]) -> &'static str {
    let order = [Kind::Withdrawn, Kind::Html, Kind::PostScript, Kind::Pdf];
    let kind = order.into_iter().find(|kind| kinds.contains(kind));
    kind.unwrap_or(Kind::Binary).reason()
}

/// Returns the files that RedPajama's script read, as Python's `tarfile` and `gzip` see them.
fn published_files(packed: &[u8], unpacked: Unpacked, max_bytes: u64) -> Result<TexFiles, NoText> {
    let Unpacked { files, damage, single, is_cut, has_trailing_bytes, .. } = unpacked;
    let is_gzip = packed.starts_with(b"\x1f\x8b");
    if single && (!is_gzip || has_trailing_bytes) {
        let detail = "it is neither a tar nor a whole gzip file".to_owned();
        return Err(NoText::Quarantined { reason: "gzip_damaged", detail });
    }
    match damage {
        // The script then read the whole tar as one TeX file.
        Some(damage) if damage.reason == "tar_damaged" && is_cut => {
            let whole = gunzipped(packed, max_bytes)?.ok_or(damage)?;
            return Ok(vec![("paper.tex".to_owned(), whole)]);
        }
        // A block that is not a header ended the tar.
        Some(damage) if damage.reason != "tar_damaged" => return Err(damage.into()),
        _ => {}
    }
    let mut found = Vec::new();
    for file in files.iter().filter(|file| file.name.trim_end_matches('/').ends_with(".tex")) {
        let Some(target) = target_of(&files, file) else {
            let detail = format!("the member `{}` is not a file", file.name);
            return Err(NoText::Dropped { reason: "arxiv/unreadable_member", detail });
        };
        found.push((file.name.clone(), target.bytes.clone()));
    }
    Ok(found)
}
