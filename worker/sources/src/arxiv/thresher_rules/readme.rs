//! Parses `00README` files, in which an upload to arXiv says which of its files are processed:
//! lines of the old `00README.XXX`, and the JSON, YAML and TOML of later ones.

/// What a file of a paper is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Usage {
    TopLevel,
    Ignored,
}

/// Returns whether a path is that of a `00README` file.
pub(super) fn is_readme(path: &str) -> bool {
    let lower = path.to_lowercase();
    let ending = lower.strip_prefix("00readme");
    ending
        .is_some_and(|it| matches!(it, "" | ".xxx" | ".json" | ".yaml" | ".yml" | ".toml" | ".txt"))
}

/// Returns the names of the files with a usage, in the order in which arXiv processes them.
pub(super) fn usages(path: &str, text: &str) -> Vec<(String, Usage)> {
    let lower = path.to_lowercase();
    if let Ok(json) = serde_json::from_str::<serde_json::Value>(text) {
        let sources = json.get("sources").and_then(serde_json::Value::as_array);
        let found = sources.into_iter().flatten().filter_map(|source| {
            let field = |name: &str| source.get(name).and_then(serde_json::Value::as_str);
            Some((field("filename")?.to_owned(), usage(field("usage")?)?))
        });
        return found.collect();
    }
    if [".json", ".yaml", ".yml", ".toml"].iter().any(|ending| lower.ends_with(ending)) {
        return of_fields(text);
    }
    let lines = text.lines().filter_map(|line| {
        let (name, directive) = line.trim().rsplit_once(char::is_whitespace)?;
        Some((name.trim().to_owned(), usage(directive)?))
    });
    let mut found: Vec<_> = lines.collect();
    found.sort_by(|(name, _), (other, _)| name.cmp(other));
    found
}

fn usage(directive: &str) -> Option<Usage> {
    match directive.to_lowercase().as_str() {
        "toplevel" | "toplevelfile" => Some(Usage::TopLevel),
        "ignore" => Some(Usage::Ignored),
        _ => None,
    }
}

/// Reads the fields `filename` and `usage` of YAML, TOML, or JSON with a mistake, line by line.
fn of_fields(text: &str) -> Vec<(String, Usage)> {
    let mut found = Vec::new();
    let mut name = None;
    for part in text.split(['\n', ',', '{', '}']) {
        let part = part.trim().trim_start_matches("- ");
        let Some((key, value)) = part.split_once([':', '=']) else { continue };
        let bare = |text: &str| text.trim().trim_matches(['"', '\'']).to_owned();
        match bare(key).as_str() {
            "filename" => name = Some(bare(value)),
            "usage" => {
                if let (Some(name), Some(usage)) = (name.take(), usage(&bare(value))) {
                    found.push((name, usage));
                }
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_the_file_names_the_top_level_files() {
        let forms = [
            ("00README.XXX", "z.tex ignore\nmain.tex toplevelfile\nfig.ps landscape\n"),
            ("00readme", "\r\nmain.tex\tTOPLEVELFILE\r\nz.tex  ignore\r\nnostamp\r\n"),
            (
                "00README.json",
                r#"{"sources":[{"filename":"main.tex","usage":"toplevel"},{"filename":"z.tex","usage":"ignore"}]}"#,
            ),
            (
                "00README.json",
                "{\"process\": {\"compiler\": \"pdflatex'\n},\n\"sources\": [\n{\"filename\": \"main.tex\", \"usage\": \"toplevel\"},\n{\"filename\": \"z.tex\", \"usage\": \"ignore\"}]}",
            ),
            (
                "00README.yaml",
                "process:\n  compiler: pdflatex\nsources:\n  - filename: main.tex\n    usage: toplevel\n  - filename: 'z.tex'\n    usage: ignore\n  - filename: a.jpg\n    usage: append\n",
            ),
            (
                "00README.toml",
                "[[sources]]\nfilename = \"main.tex\"\nusage = \"toplevel\"\n[[sources]]\nfilename = \"z.tex\"\nusage = \"ignore\"\n",
            ),
        ];
        let expected =
            [("main.tex".to_owned(), Usage::TopLevel), ("z.tex".to_owned(), Usage::Ignored)];
        for (path, text) in forms {
            assert!(is_readme(path));
            assert_eq!(usages(path, text), expected, "{path} {text}");
        }
        assert!(!is_readme("README.md") && !is_readme("00README.pdf"));
    }
}
