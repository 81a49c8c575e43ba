//! A bucket with very many objects: a server that makes its listing up as it is asked, page by
//! page, and counts what it is asked. All objects are of the same bytes.
//!
//! It is strict about how pages follow each other, and knows nothing of keys: whoever asks may.
//!
//! **Invariant:** a page has a thousand objects, as S3's have, and goes on where the one before
//! ended.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

const PAGE_OBJECTS: u64 = 1000;
const ETAG: &str = "\"0123456789abcdef0123456789abcdef\"";

/// It ends with the process.
pub struct Bucket {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    objects: u64,
    content: Vec<u8>,
    /// One more object, of other bytes: a list of paths.
    listing: Vec<u8>,
    asked: Mutex<BTreeMap<&'static str, u64>>,
}

/// The key of an object.
pub fn key(number: u64) -> String {
    format!("crawl/segments/{:03}/wet/{number:06}.warc.wet.gz", number / PAGE_OBJECTS)
}

/// The key of the list of all others.
pub const LISTING: &str = "crawl/wet.paths";

impl Bucket {
    pub fn start(objects: u64, content: Vec<u8>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let listing: String = (0..objects).map(|number| key(number) + "\n").collect();
        let (listing, asked) = (listing.into_bytes(), Mutex::default());
        let shared = Arc::new(Shared { objects, content, listing, asked });
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&serving);
                // A client may hang up at any time.
                std::thread::spawn(move || shared.serve(&client).ok());
            }
        });
        Ok(Self { address, shared })
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How often what was asked since the last look: `list`, `get`, `head`, or what is `refused`.
    pub fn asked(&self) -> BTreeMap<&'static str, u64> {
        std::mem::take(&mut *self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shared {
    fn serve(&self, client: &TcpStream) -> io::Result<()> {
        let mut lines = BufReader::new(client).lines();
        while let Some(request) = lines.next().transpose()? {
            let headers = lines.by_ref().map_while(Result::ok).take_while(|line| !line.is_empty());
            let headers: Vec<String> = headers.map(|line| line.to_lowercase()).collect();
            self.answer(client, &request, &headers)?;
        }
        Ok(())
    }

    fn answer(&self, client: &TcpStream, request: &str, headers: &[String]) -> io::Result<()> {
        let mut words = request.split(' ');
        let method = words.next().unwrap_or_default();
        let (path, query) = words.next().unwrap_or_default().split_once('?').unwrap_or_default();
        let (_, key) = path.trim_start_matches('/').split_once('/').unwrap_or_default();
        let (what, status, body) = match (method, key) {
            ("GET", "") => match self.page(query) {
                Some(page) => ("list", "200 OK", page.into_bytes()),
                None => ("refused", "400 Bad Request", Vec::new()),
            },
            ("GET", LISTING) => ("get", "200 OK", self.listing.clone()),
            ("GET", _) => ("get", "200 OK", self.content.clone()),
            ("HEAD", _) => ("head", "200 OK", self.content.clone()),
            _ => ("refused", "501 Not Implemented", Vec::new()),
        };
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner).entry(what).or_default() += 1;
        let is_part = headers.iter().any(|line| line.starts_with("range:"));
        let status = if is_part { "501 Not Implemented" } else { status };
        let mut head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len());
        if !key.is_empty() {
            head += &format!("ETag: {ETAG}\r\n");
        }
        head += "\r\n";
        let mut client = client;
        client.write_all(head.as_bytes())?;
        if method == "HEAD" { Ok(()) } else { client.write_all(&body) }
    }

    /// A page of the listing; nothing for a question that S3 would not understand.
    fn page(&self, query: &str) -> Option<String> {
        let asked: BTreeMap<&str, &str> =
            query.split('&').filter_map(|pair| pair.split_once('=')).collect();
        let prefix = asked.get("prefix").copied().unwrap_or_default().replace("%2F", "/");
        let is_known = *asked.get("list-type")? == "2" && "crawl/segments/".starts_with(&prefix);
        let first: u64 = match asked.get("continuation-token") {
            None => 0,
            Some(token) => token.strip_prefix("after-")?.parse().ok()?,
        };
        if !is_known || !first.is_multiple_of(PAGE_OBJECTS) || first >= self.objects {
            return None;
        }
        let end = (first + PAGE_OBJECTS).min(self.objects);
        let mut page = String::from(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
             <ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">",
        );
        for number in first..end {
            let (key, bytes) = (key(number), self.content.len());
            write!(
                page,
                "<Contents><Key>{key}</Key><LastModified>2024-02-20T22:09:22.000Z</LastModified>\
                 <ETag>{}</ETag><Size>{bytes}</Size><StorageClass>STANDARD</StorageClass></Contents>",
                ETAG.replace('"', "&quot;")
            )
            .ok()?;
        }
        if end < self.objects {
            page += &format!("<NextContinuationToken>after-{end}</NextContinuationToken>");
        }
        page += &format!("<IsTruncated>{}</IsTruncated></ListBucketResult>", end < self.objects);
        Some(page)
    }
}
