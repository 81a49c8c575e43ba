//! The metadata service of a cloud machine, which returns the keys of its role, as far as clients
//! use it.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

const ROLE: &str = "/latest/meta-data/iam/security-credentials/";

/// A simulated metadata service, which runs until the process ends.
pub(crate) struct InstanceRole {
    address: SocketAddr,
    asked: Arc<AtomicU32>,
    reached: Arc<AtomicU32>,
}

impl InstanceRole {
    pub(crate) fn start(key: String, secret: String) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let asked = Arc::new(AtomicU32::new(0));
        let reached = Arc::new(AtomicU32::new(0));
        let (counted, all) = (Arc::clone(&asked), Arc::clone(&reached));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                all.fetch_add(1, Ordering::Relaxed);
                // A client may close the connection at any time.
                let _ = answer(&client, &key, &secret, &counted);
            }
        });
        Ok(Self { address, asked, reached })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the number of requests.
    pub(crate) fn reached(&self) -> u32 {
        self.reached.load(Ordering::Relaxed)
    }

    /// Returns how often the keys were returned.
    pub(crate) fn asked(&self) -> u32 {
        self.asked.load(Ordering::Relaxed)
    }
}

fn answer(
    mut client: &TcpStream,
    key: &str,
    secret: &str,
    asked: &AtomicU32,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(client).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    // All headers are read, because closing the connection with unread ones would reset it before
    // the answer arrives.
    let headers: Vec<String> =
        lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let is_token =
        |line: &String| line.to_lowercase().starts_with("x-aws-ec2-metadata-token: a-token");
    let has_token = headers.iter().any(is_token);
    let path = request.split(' ').nth(1).unwrap_or_default();
    let (status, body) = match path {
        "/latest/api/token" if request.starts_with("PUT") => ("200 OK", "a-token".to_owned()),
        // Only version 2 of the service is supported: keys require a token.
        _ if !has_token => ("401 Unauthorized", String::new()),
        ROLE => ("200 OK", "a-role".to_owned()),
        _ if path.strip_prefix(ROLE) == Some("a-role") => {
            asked.fetch_add(1, Ordering::Relaxed);
            let keys = serde_json::json!({
                "Code": "Success", "Type": "AWS-HMAC", "LastUpdated": "2024-01-01T00:00:00Z",
                "AccessKeyId": key, "SecretAccessKey": secret, "Token": "",
                "Expiration": "2099-01-01T00:00:00Z",
            });
            ("200 OK", keys.to_string())
        }
        _ => ("404 Not Found", String::new()),
    };
    write!(
        client,
        "HTTP/1.1 {status}\r\nX-Aws-Ec2-Metadata-Token-Ttl-Seconds: 21600\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}
