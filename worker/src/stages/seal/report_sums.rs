//! The checksums of the two reports, which are the last key of `report.json`.
//!
//! The manifest cannot have them: reports have times, and the manifest is the same in every run of
//! a job.

/// What is before the checksums in `report.json`.
const KEY: &str = ",\n  \"checksums\": {";

/// A checksum of a report that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WrongSum {
    /// The name of the report.
    pub(crate) report: &'static str,
    pub(crate) expected: String,
    pub(crate) found: String,
}

/// Returns the text of `report.json` with the checksums of itself and of `REPORT.md`.
pub(super) fn added(json: &str, markdown: &str) -> String {
    let Some(body) = json.trim_end().strip_suffix("\n}") else { return json.to_owned() };
    let (own, other) = (hash(body), hash(markdown));
    format!(
        "{body}{KEY}\n    \"report.json\": \"{own}\",\n    \"REPORT.md\": \"{other}\"\n  }}\n}}\n"
    )
}

/// Returns the checksums that are wrong; none for a report of a version that wrote none.
pub(crate) fn wrong_sums(json: &str, markdown: &str) -> Vec<WrongSum> {
    let Some((body, sums)) = json.rsplit_once(KEY) else { return Vec::new() };
    let sum_of = |name: &str| {
        let (_, rest) = sums.split_once(&format!("\"{name}\": \""))?;
        rest.split_once('"').map(|(sum, _)| sum.to_owned())
    };
    let compared = [("report.json", hash(body)), ("REPORT.md", hash(markdown))];
    let wrong = |(report, found): (&'static str, String)| {
        let expected = sum_of(report).unwrap_or_default();
        (expected != found).then_some(WrongSum { report, expected, found })
    };
    compared.into_iter().filter_map(wrong).collect()
}

fn hash(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_altered_report_is_noticed_and_the_json_stays_valid() {
        let (json, markdown) = ("{\n  \"format\": 1,\n  \"a\": 2\n}\n", "# Report\n");
        let summed = added(json, markdown);
        let value: serde_json::Value = serde_json::from_str(&summed).unwrap();
        assert_eq!(value["a"], 2);
        assert_eq!(value["checksums"]["REPORT.md"], hash(markdown));
        assert!(wrong_sums(&summed, markdown).is_empty());
        assert!(wrong_sums(json, markdown).is_empty(), "a report without checksums");
        assert_eq!(wrong_sums(&summed, "# Report")[0].report, "REPORT.md");
        let altered = summed.replace("\"a\": 2", "\"a\": 3");
        assert_eq!(wrong_sums(&altered, markdown)[0].report, "report.json");
    }
}
