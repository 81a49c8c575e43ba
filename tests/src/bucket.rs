//! A bucket with very many objects: a server that generates its listing page by page, and counts
//! requests. All objects have the same bytes: a piece of content, repeated, which may be more than
//! fits into memory.
//!
//! It is strict about how pages follow each other, and does not check keys.
//!
//! **Invariant:** a page has a thousand objects, as in S3, and continues after the last object of
//! the previous page.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

const PAGE_OBJECTS: u64 = 1000;
const ETAG: &str = "\"0123456789abcdef0123456789abcdef\"";

/// A simulated bucket, which is served until the process ends.
pub struct Bucket {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    objects: u64,
    content: Vec<u8>,
    repeated: u64,
    /// Content of one more object: a list of paths.
    listing: Vec<u8>,
    asked: Mutex<BTreeMap<&'static str, u64>>,
}

/// Returns the key of an object.
pub fn key(number: u64) -> String {
    format!("crawl/segments/{:03}/wet/{number:06}.warc.wet.gz", number / PAGE_OBJECTS)
}

/// Key of the object that lists all others.
pub const LISTING: &str = "crawl/wet.paths";

impl Bucket {
    /// Starts a bucket with this number of objects of this content.
    pub fn start(objects: u64, content: Vec<u8>) -> io::Result<Self> {
        Self::start_repeating(objects, content, 1)
    }

    /// Starts a bucket whose objects hold the content `repeated` times.
    pub fn start_repeating(objects: u64, content: Vec<u8>, repeated: u64) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let listing: String = (0..objects).map(|number| key(number) + "\n").collect();
        let (listing, asked) = (listing.into_bytes(), Mutex::default());
        let shared = Arc::new(Shared { objects, content, repeated, listing, asked });
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&serving);
                // A client may close the connection at any time.
                std::thread::spawn(move || shared.serve(&client).ok());
            }
        });
        Ok(Self { address, shared })
    }

    /// Returns the URL of the server.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the number of requests since the last call: `list`, `get`, `head`, or `refused`.
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
        if key.ends_with("manifest.json") || key.ends_with("README.md") {
            // Nothing was published here.
            let mut client = client;
            return write!(client, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        }
        let page = || self.page(query).map(String::into_bytes);
        let (what, body, repeated) = match (method, key) {
            ("GET", "") => ("list", page(), 1),
            ("GET", LISTING) => ("get", Some(self.listing.clone()), 1),
            ("GET", _) => ("get", Some(self.content.clone()), self.repeated),
            ("HEAD", _) => ("head", Some(self.content.clone()), self.repeated),
            _ => ("refused", None, 1),
        };
        // Parts are never requested, because nothing is ever cut here.
        let body = body.filter(|_| !headers.iter().any(|line| line.starts_with("range:")));
        let what = if body.is_some() { what } else { "refused" };
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner).entry(what).or_default() += 1;
        let status = if body.is_some() { "200 OK" } else { "400 Bad Request" };
        let body = body.unwrap_or_default();
        let bytes = body.len() as u64 * repeated;
        let tag = if key.is_empty() { String::new() } else { format!("ETag: {ETAG}\r\n") };
        let mut client = client;
        write!(client, "HTTP/1.1 {status}\r\nContent-Length: {bytes}\r\n{tag}\r\n")?;
        let sent = if method == "HEAD" { 0 } else { repeated };
        (0..sent).try_for_each(|_| client.write_all(&body))
    }

    /// Returns a page of the listing, or `None` for a query that S3 would not accept.
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
            let (key, bytes) = (key(number), self.content.len() as u64 * self.repeated);
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
