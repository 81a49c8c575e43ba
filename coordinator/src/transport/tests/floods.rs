//! Floods of connections keep no worker out and stop no loop.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpSocket, TcpStream};

use super::*;

const IDLE_CONNECTIONS: usize = 2000;

/// Set in the child process that runs out of file descriptors, because the limit is per process.
const FEW_DESCRIPTORS: &str = "THRESHER_TEST_FEW_DESCRIPTORS";

/// Raises the limit of descriptors as far as the site allows, and returns it.
fn raise_descriptors() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok() {
        maximum.unwrap_or(u64::MAX)
    } else {
        current.unwrap_or(u64::MAX)
    }
}

async fn read_to_end(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    // A reset is an end as well.
    let _ = stream.read_to_end(&mut rest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_silent_connections_keep_no_worker_out_and_are_dropped() {
    // Each connection takes a descriptor at both ends, and other tests of this process need some.
    let affordable = usize::try_from(raise_descriptors().saturating_sub(512) / 2).unwrap_or(0);
    let count = IDLE_CONNECTIONS.min(affordable);
    println!("{count} idle connections");
    // With a plain limit a worker would wait for 8 time-outs of 2 s, longer than its own 10 s.
    let limits = Limits {
        handshake_timeout: Duration::from_secs(2),
        half_open_grace: Duration::from_millis(20),
        ..Limits::default()
    };
    let running = Running::start(limits).await;
    let before = running.connect(Role::Worker).await.unwrap();

    let address = running.address.tcp.unwrap();
    let mut idle = Vec::with_capacity(count);
    for _ in 0..count {
        idle.push(TcpStream::connect(address).await.unwrap());
    }
    running.assert_serves_a_worker().await;
    assert_eq!(call(&before, LEASE).await.code(), Code::Ok);
    let all_dropped = async {
        for stream in &mut idle {
            read_to_end(stream).await;
        }
    };
    tokio::time::timeout(PATIENCE, all_dropped).await.expect("every silent connection is dropped");
    running.assert_serves_a_worker().await;
}

#[tokio::test]
async fn a_silent_connection_is_dropped_at_its_time_out_with_places_to_spare() {
    let limits = Limits { handshake_timeout: Duration::from_millis(50), ..Limits::default() };
    let running = Running::start(limits).await;
    let mut silent = TcpStream::connect(running.address.tcp.unwrap()).await.unwrap();
    tokio::time::timeout(PATIENCE, read_to_end(&mut silent)).await.expect("dropped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_workers_than_handshakes_allowed_at_once_all_get_in() {
    // Within the grace period they wait in the kernel's queue and displace nobody.
    let limits = Limits { max_half_open: 8, half_open_grace: PATIENCE, ..Limits::default() };
    let running = Running::start(limits).await;
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..300 {
        let address = running.address.clone();
        let credentials = Credentials::in_directory(&running.keys(), Role::Worker);
        crowd.spawn(async move {
            let channel = connect(&address, &credentials).await.map_err(|e| e.to_string())?;
            Ok::<_, String>(call(&channel, LEASE).await.code())
        });
    }
    while let Some(ended) = crowd.join_next().await {
        assert_eq!(ended.unwrap(), Ok(Code::Ok));
    }
}

#[tokio::test]
async fn the_number_of_connections_is_bounded_and_a_freed_place_is_taken_again() {
    let limits = Limits { max_connections: 2, ..Limits::default() };
    let running = Running::start(limits).await;
    let first = running.connect(Role::Worker).await.unwrap();
    let second = running.connect(Role::Worker).await.unwrap();
    let error = running.connect(Role::Worker).await.unwrap_err();
    assert!(matches!(error, ConnectError::Refused { .. }) && error.may_pass(), "{error}");

    let operator = running.connect_unix().await.expect("the operator on this node can connect");
    assert_eq!(call(&operator, CANCEL).await.code(), Code::Ok);
    assert_eq!(call(&first, LEASE).await.code(), Code::Ok);

    drop(second);
    let place_is_free = async { while running.connect(Role::Worker).await.is_err() {} };
    tokio::time::timeout(PATIENCE, place_is_free).await.expect("a freed place is taken again");
}

#[test]
fn the_accept_loop_survives_a_lack_of_file_descriptors() {
    if std::env::var_os(FEW_DESCRIPTORS).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run_out_of_descriptors());
        println!("passed");
        return;
    }
    let name = "the_accept_loop_survives_a_lack_of_file_descriptors";
    let path = format!("{}::{name}", module_path!().split_once("::").unwrap().1);
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &path, "--nocapture"])
        .env(FEW_DESCRIPTORS, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("passed"), "{text}");
}

async fn run_out_of_descriptors() {
    let running = Running::start(Limits::default()).await;
    let before = running.connect(Role::Worker).await.unwrap();
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: Some(128), maximum }).unwrap();
    let sockets: Vec<_> = (0..3).map(|_| TcpSocket::new_v4().unwrap()).collect();
    let mut taken = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        taken.push(file);
    }

    let address = running.address.tcp.unwrap();
    let mut waiting = Vec::new();
    for socket in sockets {
        waiting.push(socket.connect(address).await.expect("the kernel still queues it"));
    }
    assert_eq!(call(&before, LEASE).await.code(), Code::Ok, "old connections stay open");
    for stream in &mut waiting {
        let answer = tokio::time::timeout(Duration::from_millis(60), stream.read_u8()).await;
        answer.expect_err("nothing is accepted, and nothing closed, without descriptors");
    }
    taken.clear();
    running.assert_serves_a_worker().await;
}
