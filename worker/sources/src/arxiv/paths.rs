//! Paths inside a paper.

/// Returns a path without `.`, `..` and doubled slashes.
pub(super) fn normal_path(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split(['/', '\\']) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_the_same_however_they_are_written() {
        let cases = [("./a//b.tex", "a/b.tex"), ("a/../b", "b"), ("../a", "a"), ("a\\b/", "a/b")];
        for (path, expected) in cases {
            assert_eq!(normal_path(path), expected);
        }
    }
}
