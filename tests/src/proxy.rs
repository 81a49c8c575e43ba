//! A proxy that injects faults: between a client and a real HTTP server, it resets and stalls
//! connections, and truncates and falsifies answers, as networks and busy servers do.
//!
//! ```text
//! client ── one request a connection ──▶ proxy ──▶ server
//!        ◀── the answer, or a fault ────       ◀──
//! ```
//! The fault of a request is drawn from a seed in the order of arrival, and every fault is counted.
//!
//! **Invariant:** without a fault, the proxy forwards everything unchanged, except that connections
//! are closed after one answer.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::gate::{Gate, Moment};

/// Size above which a head is not HTTP.
const MAX_HEAD_BYTES: u64 = 64 << 10;
const SLOW_PIECES: usize = 8;
const SLOW_PAUSE: Duration = Duration::from_millis(20);

/// A fault that a request can meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
/// A fault that a request can meet.
pub enum Fault {
    /// The request is forwarded without a fault.
    None,
    /// The connection is closed before the server receives the request.
    Reset,
    /// The server does what the request says, and its answer is dropped.
    LostAnswer,
    /// The answer is 503 with the code `SlowDown`.
    SlowDown,
    /// The answer is 500 with the code `InternalError`.
    InternalError,
    /// The body ends early.
    Truncated,
    /// The body comes in small pieces with pauses.
    Slow,
    /// The answer has an ETag that no object has.
    WrongEtag,
    /// The server refuses the keys as expired.
    Expired,
}

/// The probability of each fault, in percent of requests.
#[derive(Clone, Debug)]
pub struct Faults {
    /// Seed of the random numbers.
    pub seed: u64,
    /// The faults with their percentages.
    pub percent: Vec<(Fault, u32)>,
    /// Number of further requests for which a busy server stays busy.
    pub burst: u32,
}

impl Faults {
    /// Forwards everything.
    pub fn none() -> Self {
        Self { seed: 0, percent: Vec::new(), burst: 0 }
    }

    /// Answers every request with this fault.
    pub fn always(fault: Fault) -> Self {
        Self { seed: 0, percent: vec![(fault, 100)], burst: 0 }
    }

    /// Injects some of every fault.
    pub fn all(seed: u64) -> Self {
        let percent = vec![
            (Fault::Reset, 3),
            (Fault::LostAnswer, 3),
            (Fault::SlowDown, 2),
            (Fault::InternalError, 2),
            (Fault::Truncated, 6),
            (Fault::Slow, 4),
            (Fault::WrongEtag, 3),
        ];
        Self { seed, percent, burst: 2 }
    }
}

/// A running proxy, which ends with the process.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    server: String,
    draws: Mutex<Draws>,
    gate: Gate,
}

struct Draws {
    faults: Faults,
    random: ChaCha8Rng,
    burst_left: u32,
    fault_counts: BTreeMap<Fault, u64>,
}

impl Proxy {
    /// Listens on the loopback interface, in front of `server` (`host:port`).
    pub fn start(server: &str, faults: Faults) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let random = ChaCha8Rng::seed_from_u64(faults.seed);
        let draws = Draws { faults, random, burst_left: 0, fault_counts: BTreeMap::new() };
        let (server, draws) = (server.to_owned(), Mutex::new(draws));
        let shared = Arc::new(Shared { server, draws, gate: Gate::default() });
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&serving);
                // Either side may close the connection at any time, which is the purpose of this
                // proxy.
                std::thread::spawn(move || shared.serve(&client).ok());
            }
        });
        Ok(Self { address, shared })
    }

    /// Returns the URL of the proxy.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the gate that holds requests.
    pub fn gate(&self) -> &Gate {
        &self.shared.gate
    }

    /// Replaces the faults from now on.
    pub fn set(&self, faults: Faults) {
        let mut draws = self.shared.draws.lock().unwrap_or_else(PoisonError::into_inner);
        draws.random = ChaCha8Rng::seed_from_u64(faults.seed);
        draws.faults = faults;
    }

    /// Returns how many requests met each fault.
    pub fn fault_counts(&self) -> BTreeMap<Fault, u64> {
        self.shared.draws.lock().unwrap_or_else(PoisonError::into_inner).fault_counts.clone()
    }

    /// Returns the number of requests so far.
    pub fn requests(&self) -> u64 {
        self.fault_counts().values().sum()
    }
}

impl Shared {
    /// Draws the fault of the next request. Only answers to reads get wrong ETags, because no
    /// upload can be completed from parts with wrong ones.
    fn draw(&self, reads: bool) -> Fault {
        let mut guard = self.draws.lock().unwrap_or_else(PoisonError::into_inner);
        let draws = &mut *guard;
        let mut left = draws.random.random_range(0..100_u32);
        let mut fault = Fault::None;
        for (candidate, percent) in &draws.faults.percent {
            if left < *percent {
                let wrong_etag = *candidate == Fault::WrongEtag;
                fault = if wrong_etag && !reads { Fault::None } else { *candidate };
                break;
            }
            left -= percent;
        }
        if draws.burst_left > 0 {
            draws.burst_left -= 1;
            fault = Fault::SlowDown;
        } else if fault == Fault::SlowDown {
            draws.burst_left = draws.faults.burst;
        }
        *draws.fault_counts.entry(fault).or_default() += 1;
        fault
    }

    fn serve(&self, client: &TcpStream) -> io::Result<()> {
        let mut from_client = BufReader::new(client.try_clone()?);
        let head = read_head(&mut from_client)?;
        if head.is_empty() {
            return Ok(());
        }
        let reads = head.starts_with("GET") || head.starts_with("HEAD");
        let mut fault = self.draw(reads);
        if self.gate.takes(&head, Moment::Before) {
            self.gate.hold();
            return client.shutdown(Shutdown::Both);
        }
        let held_after = self.gate.takes(&head, Moment::After);
        if held_after {
            fault = Fault::LostAnswer;
        }
        match fault {
            Fault::Reset => return client.shutdown(Shutdown::Both),
            Fault::SlowDown => return refuse(client, "503 Slow Down", "SlowDown"),
            Fault::InternalError => {
                return refuse(client, "500 Internal Server Error", "InternalError");
            }
            Fault::Expired => return refuse(client, "400 Bad Request", "ExpiredToken"),
            Fault::None | Fault::LostAnswer | Fault::Truncated | Fault::Slow | Fault::WrongEtag => {
            }
        }
        let server = TcpStream::connect(&self.server)?;
        (&server).write_all(with_header(&head, "Connection: close").as_bytes())?;
        let mut to_server = server.try_clone()?;
        let upward = std::thread::spawn(move || io::copy(&mut from_client, &mut to_server).ok());
        let answered = answer(&server, client, fault);
        if held_after {
            self.gate.hold();
        }
        // Ends the thread that waits for more of the request.
        let closed = client.shutdown(Shutdown::Both).and(server.shutdown(Shutdown::Both));
        upward.join().ok();
        answered.and(closed)
    }
}

/// Forwards the server's answer to the client, changed by the fault.
fn answer(server: &TcpStream, client: &TcpStream, fault: Fault) -> io::Result<()> {
    let mut from_server = BufReader::new(server);
    let mut to_client = client;
    let mut head = read_head(&mut from_server)?;
    while head.starts_with("HTTP/1.1 100") {
        to_client.write_all(head.as_bytes())?;
        head = read_head(&mut from_server)?;
    }
    match fault {
        Fault::LostAnswer => {
            io::copy(&mut from_server, &mut io::sink())?;
            return Ok(());
        }
        Fault::WrongEtag => head = with_etag(&head, rand::rng().random()),
        Fault::None
        | Fault::Reset
        | Fault::SlowDown
        | Fault::InternalError
        | Fault::Expired
        | Fault::Truncated
        | Fault::Slow => {}
    }
    to_client.write_all(with_header(&head, "Connection: close").as_bytes())?;
    match fault {
        Fault::Truncated => {
            let half = length_of(&head) / 2;
            io::copy(&mut from_server.take(half), &mut to_client)?;
        }
        Fault::Slow => {
            for _ in 0..SLOW_PIECES {
                io::copy(&mut (&mut from_server).take(16 << 10), &mut to_client)?;
                std::thread::sleep(SLOW_PAUSE);
            }
            io::copy(&mut from_server, &mut to_client)?;
        }
        Fault::None
        | Fault::Reset
        | Fault::LostAnswer
        | Fault::SlowDown
        | Fault::InternalError
        | Fault::Expired
        | Fault::WrongEtag => {
            io::copy(&mut from_server, &mut to_client)?;
        }
    }
    Ok(())
}

fn refuse(mut client: &TcpStream, status: &str, code: &str) -> io::Result<()> {
    let body = format!("<Error><Code>{code}</Code><Message>on purpose</Message></Error>");
    let length = body.len();
    write!(
        client,
        "HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )?;
    // Closing a connection with unread bytes of the request would reset it before the answer
    // arrives.
    client.shutdown(Shutdown::Write)?;
    client.set_read_timeout(Some(Duration::from_millis(200)))?;
    io::copy(&mut client, &mut io::sink()).map(|_| ())
}

/// Reads the head of a request or an answer, with the empty line at its end; empty at the end of
/// the stream.
fn read_head(stream: &mut impl BufRead) -> io::Result<String> {
    let mut head = String::new();
    let mut bounded = stream.take(MAX_HEAD_BYTES);
    while bounded.read_line(&mut head)? > 0 {
        if head.ends_with("\r\n\r\n") {
            return Ok(head);
        }
    }
    Ok(String::new())
}

/// Returns the head with a header added, which replaces one of the same name.
fn with_header(head: &str, header: &str) -> String {
    let name = header.split(':').next().unwrap_or_default().to_lowercase();
    let others = head.trim_end().split("\r\n");
    let others = others.filter(|line| !line.to_lowercase().starts_with(&format!("{name}:")));
    let mut lines: Vec<&str> = others.collect();
    lines.push(header);
    format!("{}\r\n\r\n", lines.join("\r\n"))
}

fn with_etag(head: &str, etag: u128) -> String {
    let has_one = head.to_lowercase().contains("\r\netag:");
    if has_one { with_header(head, &format!("ETag: \"{etag:032x}\"")) } else { head.to_owned() }
}

fn length_of(head: &str) -> u64 {
    let header = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then_some(value.trim())
    });
    header.and_then(|value| value.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_replaces_one_of_the_same_name() {
        let head = "GET / HTTP/1.1\r\nHost: a\r\nconnection: keep-alive\r\n\r\n";
        let changed = with_header(head, "Connection: close");
        assert_eq!(changed, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert_eq!(length_of("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n"), 12);
        assert!(!with_etag(head, 0).contains("ETag"));
    }

    #[test]
    fn the_faults_depend_only_on_the_seed() {
        let draws = |seed| {
            let proxy = Proxy::start("127.0.0.1:1", Faults::all(seed)).unwrap();
            (0..200).map(|_| proxy.shared.draw(true)).collect::<Vec<_>>()
        };
        assert_eq!(draws(1), draws(1));
        assert_ne!(draws(1), draws(2));
        let all = draws(1);
        for fault in [Fault::None, Fault::Reset, Fault::SlowDown, Fault::Truncated] {
            assert!(all.contains(&fault), "{fault:?}");
        }
    }
}
