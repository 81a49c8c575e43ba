//! Each peer may call the methods of its role, over both transports, for every service.

use super::*;

async fn codes(channel: &Channel) -> Vec<Code> {
    let mut codes = Vec::new();
    for path in [LEASE, CANCEL, STATUS, UNLISTED] {
        codes.push(call(channel, path).await.code());
    }
    codes
}

#[tokio::test]
async fn each_role_may_call_its_own_methods_only() {
    const YES: Code = Code::Ok;
    const NO: Code = Code::PermissionDenied;
    let running = Running::start(Limits::default()).await;
    for (role, expected) in [
        (Role::Worker, [YES, NO, NO, NO]),
        (Role::Operator, [NO, YES, YES, NO]),
        (Role::Viewer, [NO, NO, YES, NO]),
    ] {
        let channel = running.connect(role).await.unwrap();
        assert_eq!(codes(&channel).await, expected, "{role}");
        check_health(&channel, "").await.unwrap_or_else(|error| panic!("{role}: {error}"));
    }
    let channel = running.connect_unix().await.unwrap();
    assert_eq!(codes(&channel).await, [YES, YES, YES, NO], "our own user, on this node");
}

#[tokio::test]
async fn a_worker_that_calls_an_operators_method_gets_the_reason() {
    let running = Running::start(Limits::default()).await;
    let channel = running.connect(Role::Worker).await.unwrap();
    let denial = call(&channel, CANCEL).await;
    assert_eq!(denial.code(), Code::PermissionDenied);
    for part in ["`worker`", CANCEL, "operator.pem"] {
        assert!(denial.message().contains(part), "{}", denial.message());
    }
    assert_eq!(call(&channel, LEASE).await.code(), Code::Ok, "the connection stays open");
}

#[tokio::test]
async fn a_service_that_was_not_added_is_denied_like_one_that_is_not_in_the_table() {
    let running = Running::start(Limits::default()).await;
    let channel = running.connect(Role::Operator).await.unwrap();
    for path in ["/other.Service/Method", "/", "/t.Thresher/Cancel/", "/T.Thresher/Cancel"] {
        assert_eq!(call(&channel, path).await.code(), Code::PermissionDenied, "{path}");
    }
}

#[tokio::test]
async fn a_call_for_another_state_directory_is_denied_on_every_transport() {
    let running = Running::start(Limits::default()).await;
    let keys = Credentials::in_directory(&running.keys(), Role::Operator);
    for (identity, code) in [(IDENTITY, Code::Ok), ("", Code::Ok), ("a2", Code::PermissionDenied)] {
        let identity = identity.to_owned();
        let address = CoordinatorAddress { identity, ..running.address.clone() };
        for credentials in [&keys, &Credentials::Unix] {
            let channel = connect(&address, credentials).await.unwrap();
            assert_eq!(call(&channel, CANCEL).await.code(), code, "{address:?}");
        }
    }
}

#[tokio::test]
async fn workers_reconnect_to_a_restarted_coordinator_with_their_keys() {
    let running = Running::start(Limits::default()).await;
    let credentials = Credentials::in_directory(&running.keys(), Role::Worker);
    let state = running.state.path().to_owned();
    let channel = thresher_channel::follow(&state, &credentials).await.unwrap();
    let first_address = running.address.tcp;
    assert_eq!(call(&channel, LEASE).await.code(), Code::Ok);

    // The old port stays in use, so that the new coordinator must be found by its address file.
    let state = running.stop().await;
    let _old_port = tokio::net::TcpListener::bind(first_address.unwrap()).await.unwrap();
    let restarted = Running::start_in(state, Limits::default()).await;
    assert_ne!(restarted.address.tcp, first_address);
    let back = async { while call(&channel, LEASE).await.code() != Code::Ok {} };
    tokio::time::timeout(PATIENCE, back).await.expect("the same channel works again");
}
