//! Tests job files as people write them.

use std::path::Path;

use super::*;

const SMALL: &str = r#"
[job]
name = "small"
[[source]]
slice = "commoncrawl"
listing = "wet.paths.gz"
base = "crawl"
[language]
model = "none"
[output]
path = "out"
"#;

fn parse(text: &str) -> Result<JobSpec, JobError> {
    JobSpec::parse(text, Path::new("/jobs/here"))
}

#[test]
fn a_small_job_gets_every_default_and_absolute_paths() {
    let job = parse(SMALL).unwrap();
    assert_eq!(job.source[0].name, "commoncrawl");
    assert_eq!(job.source[0].base, "/jobs/here/crawl");
    assert_eq!(job.output.path, "/jobs/here/out");
    assert_eq!(job.units.attempts, 3);
    assert_eq!(job.dedup.lines.policy, DedupPolicy::KeepFirst);
    assert!(job.filters.is_enabled("gopher_quality"));
}

/// Keys that a job with the preset `redpajama-v1` must set if it has no models.
const WITHOUT_MODELS: &str = "\n[perplexity]\nmodels = \"none\"\n[classifier]\nmodel = \"none\"\n";

#[test]
fn invalid_model_settings_are_refused_with_their_key() {
    for (tables, words) in [
        ("[perplexity]\nmodels = \"lm\"", "`perplexity.models`"),
        ("[perplexity]\nbuckets = [\"heads\"]", "choose one of `head`, `middle`, `tail`, `all`"),
        ("[perplexity]\nlm = \"en.arpa.bin\"", "write `{lang}` in place of the language"),
        ("[classifier]\nmin_score = 1.5", "`classifier.min_score`"),
    ] {
        let error = parse(&format!("{SMALL}\n{tables}\n")).unwrap_err().to_string();
        assert!(error.contains(words), "{error}\nlacks {words}");
    }
}

#[test]
fn the_resolved_text_reads_back_as_the_same_job() {
    for preset in ["thresher", "redpajama-v1", "c4"] {
        let text = SMALL.replace("small\"", &format!("s\"\npreset = \"{preset}\""));
        let job = parse(&format!("{text}{WITHOUT_MODELS}")).unwrap();
        let again = JobSpec::from_resolved(&job.resolved()).unwrap();
        assert_eq!(job, again);
        assert_eq!(job.resolved(), again.resolved());
    }
}

#[test]
fn the_preset_of_c4_has_the_values_of_its_published_code() {
    let job = parse(&SMALL.replace("small\"", "s\"\npreset = \"c4\"")).unwrap();
    let rules = job.filters.section("c4_quality").unwrap();
    let count = |key: &str| rules[key].as_integer().unwrap();
    assert_eq!((count("min_words_per_line"), count("min_sentences")), (5, 3));
    assert_eq!((count("max_page_chars"), rules["end_marks"].as_str()), (190_000, Some(".?!\"")));
    assert!(
        rules["require_end_mark"].as_bool() == Some(true)
            && !job.filters.is_enabled("gopher_quality")
    );
    assert_eq!(job.dedup.documents.key, DocumentKey::Url);
}

#[test]
fn commands_and_sources_must_fit_together() {
    let external = SMALL.replace("\"commoncrawl\"", "\"external\"\nreader = \"mine\"");
    let error = parse(&external).unwrap_err().to_string();
    assert!(error.contains("`mine`") && error.contains("[[command]]"), "{error}");
    let job = parse(&format!("{external}\n[[command]]\nname = \"mine\"\nrun = [\"cat\"]\n"));
    let job = job.unwrap();
    assert_eq!(job.command("mine").unwrap().folder, "/jobs/here");
    assert!(job.recipe().command[0].folder.is_empty(), "the recipe has no folder");
    let nothing = SMALL.replace("\"commoncrawl\"", "\"external\"");
    assert!(parse(&nothing).unwrap_err().to_string().contains("reader"));
}

#[test]
fn a_source_may_have_its_own_steps() {
    let job = parse(&SMALL.replace("listing", "steps = [\"documents\"]\nlisting")).unwrap();
    let source = &job.source[0];
    assert!(!job.dedups_lines(source) && job.has_step(source, Step::Documents));
    let code = SMALL.replace("commoncrawl", "github");
    let refusal = parse(&code).unwrap_err().to_string();
    for part in ["`tokens.tokenizer`", "letters per token", "pythia-6.9b", "\"none\""] {
        assert!(refusal.contains(part), "{refusal}\nlacks {part}");
    }
    let without_rule = format!("{code}\n[github]\nmin_letters_per_token = 0.0\n");
    assert!(parse(&without_rule).is_ok());
    let job = parse(&format!("{code}\n[tokens]\ntokenizer = \"none\"\n")).unwrap();
    assert!(!job.has_step(&job.source[0], Step::Filters));
    assert_eq!(job.github.endings.len(), 66);
}

#[test]
fn the_former_name_of_the_step_label_is_accepted() {
    let steps = |name: &str| SMALL.replace("listing", &format!("steps = [\"{name}\"]\nlisting"));
    let job = parse(&steps("told")).unwrap();
    assert!(job.has_step(&job.source[0], Step::Label));
    assert_eq!(job, parse(&steps("label")).unwrap());
    assert!(job.resolved().contains("\"label\"") && !job.resolved().contains("told"));
}

#[test]
fn the_former_name_of_the_rules_for_latex_is_accepted() {
    let rules = |name: &str| format!("{SMALL}\n[arxiv]\nlatex = \"{name}\"\n");
    let job = parse(&rules("mended")).unwrap();
    assert_eq!(job.arxiv.latex, LatexRules::Thresher);
    assert_eq!(job, parse(&rules("thresher")).unwrap());
    assert!(job.resolved().contains("latex = \"thresher\""));
}

#[test]
fn columns_are_those_of_documents_and_include_a_text() {
    let with = |columns: &str| parse(&SMALL.replace("listing", &format!("{columns}\nlisting")));
    let documents = SMALL.replace("slice = \"commoncrawl\"", "slice = \"documents\"");
    assert_ne!(documents, SMALL);
    let columns = "columns = { text = \"content\" }\nlisting";
    let job = parse(&documents.replace("listing", columns)).unwrap();
    assert_eq!(job.source[0].columns.text, "content");
    assert_eq!(job.source[0].columns.url, "url");
    let none = documents.replace("listing", "columns = { text = \"\" }\nlisting");
    let error = parse(&none).unwrap_err().to_string();
    assert!(error.contains("source[0].columns.text"), "{error}");
    let error = with("columns = { text = \"content\" }").unwrap_err().to_string();
    assert!(error.contains("only `slice = \"documents\"`"), "{error}");
    assert!(with("columns = { body = \"x\" }").is_err());
}

#[test]
fn every_slice_has_its_steps_in_the_default_job() {
    let job = parse(SMALL).unwrap();
    let named: std::collections::BTreeSet<&str> = job.steps.keys().map(String::as_str).collect();
    assert_eq!(named, Slice::ALL.map(Slice::name).into());
}

#[test]
fn the_preset_redpajama_v1_has_the_values_of_the_published_recipe() {
    let text = SMALL.replace("small\"", "s\"\npreset = \"redpajama-v1\"");
    let refusal = parse(&text).unwrap_err().to_string();
    assert!(refusal.contains("`perplexity.models`") && refusal.contains("\"none\""), "{refusal}");
    let text = format!("{text}{WITHOUT_MODELS}");
    let job = parse(&text).unwrap();
    assert_eq!(job.dedup.lines.policy, DedupPolicy::DropAll);
    assert_eq!(job.dedup.lines.hash, LineHash::Sha1);
    assert!(!job.filters.is_enabled("gopher_quality"));
    let text = format!("{text}\n[dedup.lines]\npolicy = \"off\"\n");
    assert_eq!(
        parse(&text).unwrap().dedup.lines.policy,
        DedupPolicy::Off,
        "the user's file has precedence"
    );
}

#[test]
fn a_wrong_key_is_refused_with_its_line_and_the_right_one() {
    let error = parse(&SMALL.replace("listing =", "listings =")).unwrap_err().to_string();
    assert_eq!(error, "unknown key `source.listings` on line 6\nhint: did you mean `listing`?");
    let error = parse(&format!("{SMALL}\n[dedupe]\nmemory = \"1GiB\"")).unwrap_err().to_string();
    assert!(error.contains("`dedupe`") && error.contains("did you mean `dedup`?"), "{error}");
    let error = parse(&format!("{SMALL}\n[xyzzy]\n")).unwrap_err().to_string();
    assert!(error.contains("`xyzzy`") && error.contains("thresher default-job"), "{error}");
}

#[test]
fn wrong_values_are_refused_by_name() {
    for (change, words) in [
        (("\"out\"", "3"), "string"),
        (("\"none\"", "\"\""), "language.model"),
        (("\"commoncrawl\"", "\"commoncrwl\""), "commoncrwl"),
        (("\"small\"", "\"sma ll\""), "job.name"),
        (("\"small\"", "\"s\"\npreset = \"redpajama\""), "redpajama-v1"),
    ] {
        let error = parse(&SMALL.replace(change.0, change.1)).unwrap_err().to_string();
        assert!(error.contains(words), "{change:?}: {error}");
    }
    let error = parse(&format!("{SMALL}shard_bytes = \"5 parsec\"")).unwrap_err().to_string();
    assert!(error.contains("`5 parsec` is not a valid size"), "{error}");
}

#[test]
fn a_value_of_the_wrong_type_is_reported_with_line_key_and_expected_type() {
    for (text, message) in [
        (
            SMALL.replace("\"out\"", "3"),
            "`output.path` on line 11 is the integer `3`, and must be a string\nhint: write it \
             like `path = \"...\"`",
        ),
        (
            SMALL.replace("\"wet.paths.gz\"", "true"),
            "`source[0].listing` on line 6 is the boolean `true`",
        ),
        (
            format!("{SMALL}shard_bytes = \"5 parsec\""),
            "`output.shard_bytes` on line 12 is wrong: `5 parsec` is not a valid size; write",
        ),
        (
            SMALL.replace("\"commoncrawl\"", "\"commoncrwl\""),
            "`source[0].slice` on line 5 is `commoncrwl`, which is unknown\nhint: choose one of \
             `commoncrawl`, ",
        ),
        (
            format!("{SMALL}[units]\nattempts = -1\n"),
            "`units.attempts` on line 13 is the integer `-1`, and must be a whole number from 0",
        ),
        (
            format!("{SMALL}[units]\nattempts = 1.5\n"),
            "`units.attempts` on line 13 is the number `1.5`, and must be a whole number",
        ),
        (
            SMALL.replace("[language]\nmodel = \"none\"", "[[language]]\nmodel = \"none\""),
            "`language` on line 8 is a list, and must be a table\nhint: write it as `[language]`",
        ),
        (
            SMALL.replace("[[source]]", "[source]"),
            "`source` on line 4 is a table, and must be a list\nhint: write it as `[[source]]`",
        ),
        (format!("{SMALL}\n[site]\nqueue = 5\n"), "`site.queue` on line 14 is the integer `5`"),
    ] {
        let error = parse(&text).unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}\nis not\n{message}");
    }
}

#[test]
fn contradictory_settings_are_refused_with_their_key() {
    let command = "\n[[command]]\nname = \"mine\"\nrun = [\"cat\"]\n";
    for (text, begin) in [
        (
            SMALL.replace("listing =", "commands = [\"yours\"]\nlisting ="),
            "`source[0].commands` is `yours`",
        ),
        (
            SMALL.replace("listing =", "reader = \"mine\"\nlisting =") + command,
            "`source[0].reader` is `mine`, and slice `commoncrawl` has its own",
        ),
        (format!("{SMALL}{command}timeout = \"0s\"\n"), "`command[0].timeout` is not a valid time"),
        (
            format!("{SMALL}[units]\nmax_quarantined_share = 10\n"),
            "`units.max_quarantined_share` is `10`",
        ),
        (SMALL.replace("\"out\"", "\"s3://\""), "`output.path` is `s3://`, which names no bucket"),
        (
            format!("{SMALL}\n[filters.gopher_quality]\nmin_words = 9\nmax_words = 5\n"),
            "`filters.gopher_quality.min_words` on line 14 is above \
             `filters.gopher_quality.max_words`",
        ),
    ] {
        let error = parse(&text).unwrap_err().to_string();
        assert!(error.starts_with(begin), "{error}");
        assert_eq!(error.matches("hint: ").count(), 1, "{error}");
    }
}

#[test]
fn the_old_name_of_a_renamed_key_is_accepted() {
    let stop = |key: &str| parse(&format!("{SMALL}[units]\n{key} = \"stop\"\n")).unwrap();
    assert_eq!(
        parse(SMALL).unwrap(),
        stop("on_failed_units"),
        "a job stops unless it says otherwise"
    );
    for word in ["go-on", "continue"] {
        let job = parse(&format!("{SMALL}[units]\non_failed_units = \"{word}\"\n")).unwrap();
        assert_eq!(job.units.on_failed_units, OnFailedUnits::Continue, "{word}");
    }
    assert_eq!(stop("on_set_aside").units.on_failed_units, OnFailedUnits::Stop);
    assert_eq!(stop("on_set_aside"), stop("on_failed_units"));
    let both = format!("{SMALL}[units]\non_set_aside = \"stop\"\non_failed_units = \"stop\"\n");
    let error = parse(&both).unwrap_err().to_string();
    assert!(error.contains("`units.on_failed_units`, and the job file has both"), "{error}");
}

#[test]
fn the_resolved_job_has_the_new_name_of_a_renamed_key() {
    let resolved = parse(&format!("{SMALL}[units]\non_set_aside = \"stop\"\n")).unwrap().resolved();
    assert!(resolved.contains("\non_failed_units = \"stop\"\n"), "{resolved}");
    assert!(!resolved.contains("on_set_aside"), "{resolved}");
}

#[test]
fn an_address_has_no_slash_at_its_end() {
    let job = parse(&SMALL.replace("\"out\"", "\"s3://bucket/out/\"")).unwrap();
    assert_eq!(job.output.path, "s3://bucket/out");
    assert_eq!(job.with_output("s3://bucket//").unwrap().output.path, "s3://bucket");
}

#[test]
fn sizes_and_times_are_read_as_people_write_them() {
    for (text, bytes) in
        [("64MiB", 64 << 20), ("2GB", 2_000_000_000), ("1.5GiB", 3 << 29), ("7", 7)]
    {
        assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
    }
    for text in ["", "MiB", "1XB", "-1MiB", "99999999999TiB"] {
        assert!(text.parse::<Bytes>().is_err(), "{text}");
    }
    for (text, millis) in [("30s", 30_000), ("500ms", 500), ("2h", 7_200_000), ("1.5m", 90_000)] {
        assert_eq!(text.parse::<Span>().map(Span::millis), Ok(millis), "{text}");
    }
    assert_eq!(Bytes(64 << 20).to_string(), "64MiB");
    assert_eq!(Bytes(1000).to_string(), "1000B");
    assert_eq!(Span(std::time::Duration::from_secs(90)).to_string(), "90s");
}

#[test]
fn the_focus_of_html_is_a_part_of_the_recipe() {
    let job = |focus: &str| parse(&format!("{SMALL}[html]\nfocus = \"{focus}\"\n"));
    let recipe = |focus| job(focus).unwrap().recipe();
    assert_eq!(recipe("balanced"), parse(SMALL).unwrap().recipe());
    for (one, other) in [("balanced", "precision"), ("precision", "recall")] {
        assert_ne!(recipe(one).resolved(), recipe(other).resolved());
    }
    let error = job("best").unwrap_err().to_string();
    assert!(error.contains("`html.focus` on line 13 is `best`"), "{error}");
    assert!(error.contains("hint: choose one of `precision`, `balanced`, `recall`"), "{error}");
}
