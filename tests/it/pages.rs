//! Compares the documentation with the code: jobs in the README, in the guide and on the pages of
//! slices are valid jobs, and the page of a slice lists exactly the reasons that the slice gives.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use regex::Regex;
use thresher_job::{JobSpec, Slice};
use thresher_tests::job::root;

/// What a job says besides its sources.
const HEAD: &str = "[job]\nname = \"page\"\n[language]\nmodel = \"none\"\n\
                    [tokens]\ntokenizer = \"none\"\n[output]\npath = \"corpus\"\n";

/// What the guide's jobs leave out; a job that states one of these tables replaces it.
const GUIDE_JOB: &str = "[job]\nname = \"page\"\n[language]\nmodel = \"lid.176.ftz\"\n\
                         [output]\npath = \"corpus\"\n\
                         [[source]]\nslice = \"commoncrawl\"\nlisting = \"*.warc.wet.gz\"\n";

fn slices() -> Vec<PathBuf> {
    let folder = std::fs::read_dir(root().join("worker/sources/src")).unwrap();
    let entries = folder.map(|entry| entry.unwrap().path());
    // Folders of parts that slices share have no page.
    let has_page = |path: &PathBuf| path.join("README.md").is_file();
    let slices: Vec<PathBuf> = entries.filter(has_page).collect();
    assert_eq!(slices.len(), Slice::ALL.len(), "{slices:?}");
    slices
}

fn page(slice: &Path) -> String {
    let path = slice.join("README.md");
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All code of a folder and those in it.
fn code(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            code(&path, text);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let file = std::fs::read_to_string(&path).unwrap();
            text.push_str(file.split("#[cfg(test)]\nmod tests {").next().unwrap());
        }
    }
}

fn found(pattern: &str, text: &str) -> BTreeSet<String> {
    let pattern = Regex::new(pattern).unwrap();
    pattern.captures_iter(text).map(|found| found[1].to_owned()).collect()
}

#[test]
fn jobs_on_the_pages_of_slices_are_jobs() {
    let blocks = Regex::new("(?s)```toml\n(.*?)```").unwrap();
    for slice in slices() {
        let page = page(&slice);
        assert!(blocks.is_match(&page), "{} shows no job", slice.display());
        for block in blocks.captures_iter(&page) {
            let job = format!("{HEAD}{}", &block[1]);
            if let Err(error) = JobSpec::parse(&job, Path::new("/")) {
                panic!("{}: {error}\n{job}", slice.display());
            }
        }
    }
}

#[test]
fn the_page_of_a_slice_tells_all_reasons_of_its_own_and_no_others() {
    for slice in slices() {
        let name = slice.file_name().unwrap().to_str().unwrap();
        let mut text = String::new();
        code(&slice, &mut text);
        let given = found(&format!("\"({name}/[a-z_0-9]+)\""), &text);
        let documented = found(&format!("`({name}/[a-z_0-9]+)`"), &page(&slice));
        assert_eq!(documented, given, "{name}");
    }
}

/// Reasons that are not of one slice must be somewhere in the worker.
#[test]
fn other_reasons_on_the_pages_are_reasons() {
    let mut text = String::new();
    code(&root().join("worker"), &mut text);
    for slice in slices() {
        let rows = page(&slice);
        let ends = ["_damaged", "_too_large", "_malformed", "_truncated", "_missing", "_wrong"];
        for reason in found("`([a-z0-9]+_[a-z_0-9]+)`", &rows) {
            if ends.iter().any(|end| reason.ends_with(end)) {
                assert!(text.contains(&format!("\"{reason}\"")), "{}: {reason}", slice.display());
            }
        }
    }
}

#[test]
fn jobs_in_the_readme_and_the_guide_are_valid() {
    let blocks = Regex::new("(?s)```toml\n(.*?)```").unwrap();
    let guide = std::fs::read_dir(root().join("deploy/guide")).unwrap();
    let mut pages: Vec<PathBuf> = guide.map(|entry| entry.unwrap().path()).collect();
    pages.push(root().join("README.md"));
    let mut jobs = 0;
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        for block in blocks.captures_iter(&text) {
            let mut job: toml::Table = GUIDE_JOB.parse().unwrap();
            job.extend(block[1].parse::<toml::Table>().unwrap());
            if let Err(error) = JobSpec::parse(&job.to_string(), Path::new("/")) {
                panic!("{}: {error}\n{job}", page.display());
            }
            jobs += 1;
        }
    }
    assert!(jobs >= 5, "only {jobs} jobs were found");
}

#[test]
fn relative_links_in_markdown_resolve() {
    let mut pages = Vec::new();
    markdown(&root(), &mut pages);
    assert!(pages.len() > 20, "only {} pages were found", pages.len());
    let blocks = Regex::new("(?s)```.*?```").unwrap();
    let links = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let mut broken = Vec::new();
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        for link in links.captures_iter(&blocks.replace_all(&text, "")) {
            let (path, anchor) = link[1].split_once('#').unwrap_or((&link[1], ""));
            if path.contains("://") {
                continue;
            }
            let folder = page.parent().unwrap();
            let target = if path.is_empty() { page.clone() } else { folder.join(path) };
            if !target.try_exists().unwrap() || !has_heading(&target, anchor) {
                broken.push(format!("{}: `{}`", page.display(), &link[1]));
            }
        }
    }
    assert!(broken.is_empty(), "links that do not resolve:\n{}", broken.join("\n"));
}

/// Adds all Markdown files of a folder and those in it.
fn markdown(folder: &Path, pages: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with("target") && !name.starts_with('.') {
            markdown(&path, pages);
        } else if name.ends_with(".md") {
            pages.push(path);
        }
    }
}

/// Returns whether a page has the heading that an anchor names, as GitHub writes anchors.
fn has_heading(page: &Path, anchor: &str) -> bool {
    if anchor.is_empty() {
        return true;
    }
    let text = std::fs::read_to_string(page).unwrap();
    text.lines().filter(|line| line.starts_with('#')).any(|line| {
        let words = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        words.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).eq(anchor.chars())
    })
}
