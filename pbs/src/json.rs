//! The JSON that `qstat -F json` prints, which is not always valid.
//!
//! `qstat` prints a value without quotation marks if it looks like a number to C, so that a job
//! named `007` or a variable `nan` is not JSON, and some versions do not escape control characters
//! in strings. Sites print notices around it. Here such values are read as strings, and each job
//! becomes a text of its own.

use serde_json::Value;

/// Returns one object for each job, `{"id": …, …}`, as text. If the output has no readable object,
/// returns its lines, so that an error can show one.
pub(crate) fn jobs(out: &str) -> Vec<String> {
    let mut starts = out.match_indices('{').map(|(at, _)| at).take(STARTS_MAX);
    let whole = starts.find_map(|at| first_object(&out[at..]));
    let Some(whole) = whole else {
        return out.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
    };
    let Some(jobs) = whole.get("Jobs").and_then(Value::as_object) else { return Vec::new() };
    let with_id = |(id, job): (&String, &Value)| {
        let mut job = job.clone();
        match &mut job {
            Value::Object(fields) => {
                fields.insert("id".to_owned(), Value::String(id.clone()));
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => {
                job = serde_json::json!({ "id": id });
            }
        }
        job.to_string()
    };
    jobs.iter().map(with_id).collect()
}

/// Number of brackets at which the object may start: a notice may have some.
const STARTS_MAX: usize = 64;

/// Reads the object at the start of a text; `None` if it is not one.
fn first_object(text: &str) -> Option<Value> {
    let read = |text: &str| {
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
        values
            .next()?
            .ok()
            .filter(|value| value.get("Jobs").is_some() || value.get("pbs_version").is_some())
    };
    read(text).or_else(|| read(&repaired(text)))
}

/// Returns the text with quotation marks around bare words that are not JSON, and with control
/// characters in strings escaped.
fn repaired(text: &str) -> String {
    let mut fixed = String::with_capacity(text.len() + 64);
    let (mut in_string, mut escaped) = (false, false);
    let mut word = String::new();
    for c in text.chars() {
        if in_string {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => in_string = false,
                _ if c.is_control() => {
                    fixed += &format!("\\u{:04x}", u32::from(c));
                    continue;
                }
                _ => {}
            }
            fixed.push(c);
        } else if c.is_whitespace() || "{}[],:\"".contains(c) {
            push_word(&mut fixed, &mut word);
            in_string = c == '"';
            fixed.push(c);
        } else {
            word.push(c);
        }
    }
    push_word(&mut fixed, &mut word);
    fixed
}

/// Adds a word from outside of strings, and empties it.
fn push_word(fixed: &mut String, word: &mut String) {
    if word.is_empty() {
        return;
    }
    let valid = serde_json::from_str::<Value>(word).is_ok();
    *fixed += &if valid { word.clone() } else { Value::String(word.clone()).to_string() };
    word.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_job_is_a_text_of_its_own_whatever_is_around() {
        let out = "Notice {of the site}\n{\"timestamp\":7,\"Jobs\":{\"1.s\":{\"job_state\":\"R\"},\
                   \"2.s\":{\"job_state\":\"Q\"}}}\nbye\n";
        let rows = jobs(out);
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[1], "{\"job_state\":\"Q\",\"id\":\"2.s\"}");
        assert_eq!(jobs("{\"timestamp\":7,\"pbs_version\":\"22\"}"), Vec::<String>::new());
        assert_eq!(jobs("cannot connect\n\n"), ["cannot connect"]);
        assert_eq!(jobs(""), Vec::<String>::new());
    }

    #[test]
    fn values_that_qstat_prints_without_quotation_marks_are_strings() {
        let out = "{\"Jobs\":{\"1.s\":{\"Job_Name\":007,\"Variable_List\":{\"A\":nan,\"B\":0x1f,\
                   \"C\":12,\"D\":\"x\ty\\\"z\"},\"job_state\":\"R\"}}}";
        let job: Value = serde_json::from_str(&jobs(out)[0]).unwrap();
        assert_eq!(job["Job_Name"], "007");
        let variables = &job["Variable_List"];
        assert_eq!((&variables["A"], &variables["B"]), (&"nan".into(), &"0x1f".into()));
        assert_eq!((&variables["C"], &variables["D"]), (&12.into(), &"x\ty\"z".into()));
    }
}
