//! Authorisation: one table of methods and roles, which is checked for every call of every service,
//! and the identity of the state directory for which a call is meant.
//!
//! The service provides the table; the role of a peer was determined when it connected. Health and
//! reflection are in every table, for every authenticated peer.
//!
//! **Invariant:** a method that is not in the table is denied to everybody, so a new method cannot
//! be called until its roles are written down.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use thresher_channel::Role;
use thresher_channel::identity::IDENTITY_METADATA;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, Request, Response};
use tower::{Layer, Service};

use super::Peer;

/// The path of a method in HTTP/2, `/package.Service/Method`, and the roles that may call it.
pub type MethodRoles = (&'static str, &'static [Role]);

/// Methods that every peer may call, because they reveal nothing about the job.
const OPEN_TO_ALL: &[MethodRoles] = &[
    ("/grpc.health.v1.Health/Check", Role::ALL),
    ("/grpc.health.v1.Health/List", Role::ALL),
    ("/grpc.health.v1.Health/Watch", Role::ALL),
    ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Role::ALL),
    ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", Role::ALL),
];

/// Limit of a denied method's name, which is returned in a header and whose length the peer
/// chooses.
const MAX_SHOWN_METHOD_CHARS: usize = 120;

/// The table of methods and roles.
#[derive(Clone, Debug)]
pub struct RolePolicy {
    methods: Arc<BTreeMap<&'static str, &'static [Role]>>,
    /// The identity of this coordinator's state directory; empty accepts every call.
    identity: Arc<str>,
}

impl RolePolicy {
    /// Creates the table of these methods, with health and reflection.
    ///
    /// # Panics
    /// Panics if a method is listed twice, which is a defect of the program.
    pub fn new(entries: &[MethodRoles]) -> Self {
        let mut methods = BTreeMap::new();
        for &(path, roles) in OPEN_TO_ALL.iter().chain(entries) {
            let earlier = methods.insert(path, roles);
            assert!(earlier.is_none(), "the method `{path}` is listed twice");
        }
        Self { methods: Arc::new(methods), identity: "".into() }
    }

    /// Returns the same table for one state directory: calls that carry the identity of another one
    /// are denied. Other programs need not send any.
    pub fn for_identity(self, identity: &str) -> Self {
        Self { identity: identity.into(), ..self }
    }

    /// Returns whether a role may call a method.
    pub fn may(&self, role: Role, path: &str) -> bool {
        self.methods.get(path).is_some_and(|roles| roles.contains(&role))
    }

    /// Returns every method in the table, so that a test can compare it with the services'
    /// descriptors.
    pub fn methods(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.methods.keys().copied()
    }

    /// Allows a call, or returns why it is denied.
    pub fn check(&self, peer: Option<&Peer>, path: &str) -> Result<(), Status> {
        // Every connection of ours has its peer; a server that is set up otherwise must not serve.
        let Some(peer) = peer else {
            return Err(Status::unauthenticated("this connection is not authenticated"));
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
                 hint: check that both sides have the same version"
            ),
        }))
    }

    /// Denies a call that is meant for another state directory.
    fn check_identity(&self, headers: &HeaderMap) -> Result<(), Status> {
        let Some(meant) = headers.get(IDENTITY_METADATA) else { return Ok(()) };
        if self.identity.is_empty() || meant.as_bytes() == self.identity.as_bytes() {
            return Ok(());
        }
        tracing::warn!("denied a call that is meant for another state directory");
        Err(Status::permission_denied(
            "this call is meant for the coordinator of another state directory, or for one before \
             the journal was recovered\nhint: use the state directory of this coordinator; a \
             worker has to be started again",
        ))
    }
}

/// Puts the table in front of all services of a server.
#[derive(Clone, Debug)]
pub struct RoleLayer {
    policy: RolePolicy,
}

impl RoleLayer {
    /// Returns a layer that checks calls with this table.
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

/// A service that is protected by the table.
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
        let checked = self.policy.check(peer, request.uri().path());
        match checked.and_then(|()| self.policy.check_identity(request.headers())) {
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
    fn a_denial_names_role_method_and_the_keys_to_use() {
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
    fn a_call_for_another_state_directory_is_denied() {
        let call = |identity: Option<&'static str>| {
            let identity =
                identity.map(|id| (IDENTITY_METADATA.parse().unwrap(), id.parse().unwrap()));
            HeaderMap::from_iter(identity)
        };
        let policy = RolePolicy::new(TABLE).for_identity("a1");
        for accepted in [Some("a1"), None] {
            assert!(policy.check_identity(&call(accepted)).is_ok(), "{accepted:?}");
        }
        for other in ["a2", "", "a"] {
            let denial = policy.check_identity(&call(Some(other))).unwrap_err();
            assert_eq!(denial.code(), tonic::Code::PermissionDenied, "{other}");
            assert!(denial.message().contains("\nhint: "), "{denial}");
        }
        assert!(RolePolicy::new(TABLE).check_identity(&call(Some("a2"))).is_ok());
    }

    #[test]
    #[should_panic(expected = "listed twice")]
    fn a_method_listed_twice_is_a_defect_of_the_program() {
        RolePolicy::new(&[TABLE[0], TABLE[0]]);
    }
}
