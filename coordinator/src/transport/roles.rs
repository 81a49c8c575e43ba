//! Who may call what: one table of methods and roles, asked for every call of every service.
//!
//! The table itself is the service's; who a peer is was settled when it connected. Health and
//! reflection are in every table, for any peer that was let in.
//!
//! **Invariant:** a method that is not in the table is denied to everyone, so a new method is
//! closed until somebody writes down whose it is.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use thresher_channel::Role;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tower::{Layer, Service};

use super::Peer;

/// A method's path as HTTP/2 carries it, `/package.Service/Method`, and who may call it.
pub type MethodRoles = (&'static str, &'static [Role]);

/// What any peer may call: it tells nothing of the job.
const OPEN_TO_ALL: &[MethodRoles] = &[
    ("/grpc.health.v1.Health/Check", Role::ALL),
    ("/grpc.health.v1.Health/List", Role::ALL),
    ("/grpc.health.v1.Health/Watch", Role::ALL),
    ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Role::ALL),
    ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", Role::ALL),
];

/// A denied method's name goes back in a header, and peers choose its length.
const MAX_SHOWN_METHOD_CHARS: usize = 120;

/// The table.
#[derive(Clone, Debug)]
pub struct RolePolicy {
    methods: Arc<BTreeMap<&'static str, &'static [Role]>>,
}

impl RolePolicy {
    /// Makes the table of these methods, with health and reflection.
    ///
    /// # Panics
    /// When a method is listed twice: two answers to one question is a mistake in the program.
    pub fn new(entries: &[MethodRoles]) -> Self {
        let mut methods = BTreeMap::new();
        for &(path, roles) in OPEN_TO_ALL.iter().chain(entries) {
            let earlier = methods.insert(path, roles);
            assert!(earlier.is_none(), "the method `{path}` is listed twice");
        }
        Self { methods: Arc::new(methods) }
    }

    /// Whether a role may call a method.
    pub fn may(&self, role: Role, path: &str) -> bool {
        self.methods.get(path).is_some_and(|roles| roles.contains(&role))
    }

    /// Every method in the table, so that a test can hold it against the services' descriptors.
    pub fn methods(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.methods.keys().copied()
    }

    /// Lets a call through, or says why not.
    pub fn check(&self, peer: Option<&Peer>, path: &str) -> Result<(), Status> {
        // Every connection of ours carries its peer; a server wired otherwise must not serve.
        let Some(peer) = peer else {
            return Err(Status::unauthenticated("this connection has shown no role"));
        };
        if peer.roles.iter().any(|&role| self.may(role, path)) {
            return Ok(());
        }
        let method: String = path.chars().take(MAX_SHOWN_METHOD_CHARS).collect();
        let roles: Vec<_> = peer.roles.iter().map(|role| format!("`{role}`")).collect();
        let roles = roles.join(", ");
        tracing::warn!(peer = &*peer.who, method, "denied a call");
        Err(Status::permission_denied(match self.methods.get(path) {
            Some(allowed) => {
                let allowed: Vec<_> = allowed.iter().map(|role| role.key_file_name()).collect();
                let keys = allowed.join(" or ");
                format!("role {roles} may not call `{method}`\nhint: connect with {keys}")
            }
            None => format!(
                "role {roles} may not call `{method}`, which this coordinator does not know\n\
                 hint: is the other side of the same version?"
            ),
        }))
    }
}

/// Puts the table in front of all services of a server.
#[derive(Clone, Debug)]
pub struct RoleLayer {
    policy: RolePolicy,
}

impl RoleLayer {
    /// A layer that asks this table.
    pub fn new(policy: RolePolicy) -> Self {
        Self { policy }
    }
}

impl<S> Layer<S> for RoleLayer {
    type Service = RoleGate<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RoleGate { inner, policy: self.policy.clone() }
    }
}

/// The services behind the table.
#[derive(Clone, Debug)]
pub struct RoleGate<S> {
    inner: S,
    policy: RolePolicy,
}

impl<S> Service<Request<Body>> for RoleGate<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let peer = request.extensions().get::<Peer>();
        match self.policy.check(peer, request.uri().path()) {
            Ok(()) => Box::pin(self.inner.call(request)),
            Err(denial) => Box::pin(ready(Ok(denial.into_http()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[MethodRoles] = &[
        ("/t.Workers/Lease", &[Role::Worker]),
        ("/t.Control/Cancel", &[Role::Operator]),
        ("/t.Control/Status", &[Role::Viewer, Role::Operator]),
    ];

    fn peer(roles: &'static [Role]) -> Peer {
        Peer { roles, who: "test".into() }
    }

    #[test]
    fn each_role_may_call_what_the_table_gives_it_and_nothing_else() {
        let policy = RolePolicy::new(TABLE);
        for (path, roles) in TABLE {
            for role in Role::ALL {
                assert_eq!(policy.may(*role, path), roles.contains(role), "{role} {path}");
            }
        }
    }

    #[test]
    fn health_and_reflection_are_for_every_role() {
        let policy = RolePolicy::new(&[]);
        assert_eq!(policy.methods().count(), OPEN_TO_ALL.len());
        for method in policy.methods() {
            assert!(Role::ALL.iter().all(|role| policy.may(*role, method)), "{method}");
        }
    }

    #[test]
    fn an_unknown_method_is_denied_even_to_one_with_every_role() {
        let policy = RolePolicy::new(TABLE);
        for path in ["/t.Control/Drain", "/t.Control/", "/", "", "/t.control/status"] {
            let denial = policy.check(Some(&peer(Role::ALL)), path).unwrap_err();
            assert_eq!(denial.code(), tonic::Code::PermissionDenied, "{path}");
        }
    }

    #[test]
    fn a_denial_names_role_and_method_and_the_keys_that_would_do() {
        let policy = RolePolicy::new(TABLE);
        let denial = policy.check(Some(&peer(&[Role::Worker])), "/t.Control/Status").unwrap_err();
        for part in ["`worker`", "`/t.Control/Status`", "viewer.pem or operator.pem"] {
            assert!(denial.message().contains(part), "{}", denial.message());
        }
        let long = "/x".repeat(10_000);
        let denial = policy.check(Some(&peer(&[Role::Worker])), &long).unwrap_err();
        assert!(denial.message().len() < 400);
    }

    #[test]
    fn a_call_without_a_peer_is_unauthenticated() {
        let denial = RolePolicy::new(TABLE).check(None, "/t.Control/Status").unwrap_err();
        assert_eq!(denial.code(), tonic::Code::Unauthenticated);
    }

    #[test]
    #[should_panic(expected = "listed twice")]
    fn a_method_listed_twice_is_a_mistake_in_the_program() {
        RolePolicy::new(&[TABLE[0], TABLE[0]]);
    }
}
