//! The fields of the published corpus: what `redpajama-v1` writes of each slice, to their order.

use std::io::Write;

use serde_json::{Value, json};
use thresher_tests::job::{JobText, sample};
use thresher_tests::process::succeed;

use super::models::documents;
use super::recipes::outcome;
use super::{places, run};

/// One document as an input of its slice, and what is published of it.
struct Published {
    slice: &'static str,
    name: &'static str,
    input: Vec<u8>,
    text: &'static str,
    meta: Value,
}

fn packed(bytes: &str) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(bytes.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn tar_of_paper(tex: &str) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(tex.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(gzip.len() as u64);
    header.set_mtime(1_700_000_000);
    tar.append_data(&mut header, "9901/hep-th9901001.gz", gzip.as_slice()).unwrap();
    tar.into_inner().unwrap()
}

fn rows() -> Vec<Published> {
    let page = json!({"url": "https://a.b/", "timestamp": "2019-04-25T12:57:54Z",
                      "text": "A page."});
    let book = json!({"short_book_title": "A Tale", "publication_date": 1913,
                      "url": "http://www.gutenberg.org/ebooks/1", "text": "It was night."});
    let file = json!({"id": "ab", "size": "6", "content": "x = 1\n", "binary": false,
        "copies": "1", "repo_name": "a/b", "ref": "refs/heads/main", "path": "a.py",
        "mode": "33188", "license": "mit", "language": [{"name": "Python", "bytes": "6"}]});
    vec![
        Published {
            slice: "c4",
            name: "c4-train.00000-of-01024.json",
            input: page.to_string().into_bytes(),
            text: "A page.",
            meta: json!({"timestamp": "2019-04-25T12:57:54Z", "url": "https://a.b/",
                         "language": "en", "source": "c4"}),
        },
        Published {
            slice: "books",
            name: "pg19_000.jsonl",
            input: book.to_string().into_bytes(),
            text: "It was night.",
            meta: json!({"short_book_title": "A Tale", "publication_date": 1913,
                         "url": "http://www.gutenberg.org/ebooks/1"}),
        },
        Published {
            slice: "github",
            name: "github_000000000000.json",
            input: file.to_string().into_bytes(),
            text: "x = 1\n",
            // The hash is md5sum's.
            meta: json!({"content_hash": "3253b41059cac6e987c5a5e9233ea5d0", "timestamp": "",
                "source": "github", "line_count": 1, "max_line_length": 5, "avg_line_length": 6.0,
                "alnum_prop": 2.0 / 6.0, "id": "ab", "size": "6", "binary": false, "copies": "1",
                "repo_name": "a/b", "ref": "refs/heads/main", "path": "a.py", "mode": "33188",
                "license": "mit", "language": [{"name": "Python", "bytes": "6"}]}),
        },
    ]
}

fn texts() -> Vec<Published> {
    let paper =
        "\\title{X}\n\\section{The problem} We solve the problem of the world.% note\nEnd\n";
    let wiki = "<mediawiki><page><title>Ein Titel/ä</title><ns>0</ns><id>7</id><revision>\
        <timestamp>2023-01-01T00:00:00Z</timestamp><text>Der '''Text''' der Seite {{x}}</text>\
        </revision></page></mediawiki>";
    let posts = "<posts>\n\
        <row Id=\"2\" PostTypeId=\"1\" Score=\"10\" Title=\"How do I read a file?\" \
        Body=\"&lt;p&gt;I want to read it.&lt;/p&gt;\" />\n\
        <row Id=\"3\" PostTypeId=\"2\" ParentId=\"2\" Score=\"9\" Body=\"Open it first.\" />\n\
        </posts>\n";
    vec![
        Published {
            slice: "arxiv",
            name: "arXiv_src_9901_001.tar",
            input: tar_of_paper(paper),
            text: "\\section{The problem} We solve the problem of the world\nEnd\n",
            meta: json!({"timestamp": "2023-11-14T22:13:20", "yymm": "9901",
                "arxiv_id": "hep-th/9901001", "language": "en",
                "url": "https://arxiv.org/abs/hep-th/9901001", "source": "arxiv"}),
        },
        Published {
            slice: "wikipedia",
            name: "dewiki-20230320-pages-articles-multistream.xml.bz2",
            input: packed(wiki),
            text: "Der Text der Seite",
            meta: json!({"title": "Ein Titel/ä",
                "url": "https://de.wikipedia.org/wiki/Ein%20Titel/%C3%A4", "language": "de",
                "timestamp": "20230320"}),
        },
        Published {
            slice: "stackexchange",
            name: "a.stackexchange.com/Posts.xml",
            input: posts.into(),
            text: "Q: How do I read a file? I want to read it.\nA: Open it first.",
            meta: json!({"language": "en", "url": "https://a.stackexchange.com/questions/2",
                "timestamp": "2023-03-29", "source": "stackexchange", "question_score": "10"}),
        },
    ]
}

#[test]
fn each_slice_has_the_fields_of_the_published_corpus_in_their_order() {
    let tables = format!(
        "[language]\nmodel = \"{}\"\n[perplexity]\nmodels = \"none\"\n[classifier]\n\
         model = \"none\"\n[tokens]\ntokenizer = \"none\"\n",
        sample().join("models/lid.176.ftz").display()
    );
    for Published { slice, name, input, text, meta } in rows().into_iter().chain(texts()) {
        let (found, dropped) = outcome(slice, "redpajama-v1", (name, &input), &tables);
        assert_eq!(found.len(), 1, "{slice}: {dropped:?}");
        let keys: Vec<&String> = found[0].as_object().unwrap().keys().collect();
        assert_eq!(keys, ["text", "meta", "origin"], "{slice}");
        assert_eq!(found[0]["text"], text, "{slice}");
        assert_eq!(found[0]["meta"].to_string(), meta.to_string(), "{slice}");
    }
}

/// Two documents, of whatever is read.
const TWO: &str = r#"cat > /dev/null
printf '%s\n' '{"text": "a", "meta": {"k": 1}}' '{"text": "b"}'"#;

#[test]
fn documents_of_a_command_are_no_web_pages_with_or_without_meta() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.x"), "x").unwrap();
    let job = JobText::of(format!(
        "[job]\nname = \"t\"\npreset = \"redpajama-v1\"\n[[source]]\nslice = \"external\"\n\
         listing = \"a.x\"\nbase = \"{}\"\nreader = \"two\"\n[[command]]\nname = \"two\"\n\
         run = [\"sh\", \"-c\", '''{TWO}''']\n\
         [language]\nmodel = \"none\"\n[tokens]\ntokenizer = \"none\"\n[perplexity]\n\
         models = \"none\"\n[classifier]\nmodel = \"none\"\n[output]\npath = \"corpus\"\n",
        folder.path().display()
    ));
    let (_, state) = places(folder.path());
    succeed(&mut run(&job.write(folder.path()), &state));
    let found = documents(folder.path());
    let metas: Vec<String> = found.iter().map(|line| line["meta"].to_string()).collect();
    assert_eq!(metas, [json!({"k": 1}).to_string(), json!({}).to_string()]);
    for line in &found {
        let keys: Vec<&String> = line.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["text", "meta", "origin"]);
        assert_eq!(line["origin"]["input"], "a.x");
    }
}
