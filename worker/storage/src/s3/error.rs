//! Classifies failed answers of S3: either a retry can help, or the error says what a person can
//! do.
//!
//! Invariant: an error names bucket, key, status and code, and never a secret.

use std::time::Duration;

use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use super::super::StorageError;
use super::super::retry::Failure;

/// Returns the HTTP status of an answer.
pub(super) fn status_of<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

pub(super) fn classify<E>(location: &str, server: &str, error: &SdkError<E>) -> Failure
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let Some(response) = error.raw_response() else {
        return unanswered(
            location,
            server,
            &DisplayErrorContext(error).to_string(),
            &innermost(error),
        );
    };
    let after = response.headers().get("retry-after").and_then(|after| after.trim().parse().ok());
    let answer = Answer {
        status: response.status().as_u16(),
        code: error.code().unwrap_or_default(),
        message: error.message().unwrap_or_default(),
        after: after.map(Duration::from_secs),
        region: response.headers().get("x-amz-bucket-region"),
    };
    // A success that cannot be parsed was damaged on its way.
    if matches!(error, SdkError::ResponseError(_)) && answer.status < 300 {
        let detail = "the answer is damaged".to_owned();
        return Failure::Passing { detail, after: None };
    }
    evaluate(location, &answer)
}

/// Classifies a request without an answer: the connection failed, or there were no keys to sign it
/// with.
fn unanswered(location: &str, server: &str, chain: &str, cause: &str) -> Failure {
    let location = location.to_owned();
    // "Not enabled" is what the SDK says of a single provider, a profile's, if no file has any
    // profiles. Of a chain of providers it says so of each.
    let alone = cause.contains("provider was not enabled") && !cause.contains("found in chain");
    let of_profile = chain.contains("profile") || alone;
    if of_profile && chain.contains("credential") {
        let detail = format!(
            "the profile gives no credentials: {cause}\nhint: see `profile` in `[s3]` and AWS_PROFILE; \
             it must be in AWS_CONFIG_FILE or AWS_SHARED_CREDENTIALS_FILE, where the workers run"
        );
        return Failure::Lasting(StorageError::Blocked { location, detail });
    }
    if chain.contains("credential") {
        let detail = format!(
            "no credentials were found: {}\nhint: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY \
             where the workers run, or name `profile` in `[s3]`; public buckets need `anonymous = \
             true`",
            first_line(chain)
        );
        return Failure::Lasting(StorageError::Blocked { location, detail });
    }
    if chain.contains("invalid peer certificate") {
        let detail = format!(
            "the server's certificate is not trusted: {}\nhint: name a file with the certificate of \
             its authority in AWS_CA_BUNDLE, where the workers run",
            first_line(chain)
        );
        return Failure::Lasting(StorageError::Blocked { location, detail });
    }
    let detail = format!(
        "the connection to {server} failed: {cause}\nhint: see that the server is up and that this machine can \
         reach it; its address is `endpoint` in `[s3]`, AWS_ENDPOINT_URL, or Amazon's"
    );
    Failure::Passing { detail, after: None }
}

/// Returns the innermost cause.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// Returns the part of a cause that a person needs; the rest is the SDK's own state.
fn first_line(chain: &str) -> &str {
    let line = chain.lines().next().unwrap_or_default();
    line.split(" (").next().unwrap_or(line)
}

struct Answer<'a> {
    status: u16,
    code: &'a str,
    message: &'a str,
    after: Option<Duration>,
    region: Option<&'a str>,
}

fn evaluate(location: &str, answer: &Answer<'_>) -> Failure {
    let Answer { status, code, message, after, region } = *answer;
    let location = location.to_owned();
    let said = match (code, message) {
        ("", _) => format!("the server answers {status}"),
        (code, "") => format!("the server answers {status} {code}"),
        (code, message) => format!("the server answers {status} {code}: {message}"),
    };
    let passing = |detail: String| Failure::Passing { detail, after };
    let denied = |hint: &str| {
        let detail = format!("{said}\nhint: {hint}");
        Failure::Doubtful(StorageError::Denied { location: location.clone(), detail })
    };
    let blocked = |hint: &str| {
        let detail = format!("{said}\nhint: {hint}");
        Failure::Lasting(StorageError::Blocked { location: location.clone(), detail })
    };
    match (status, code) {
        (
            _,
            "SlowDown" | "Throttling" | "ThrottlingException" | "RequestLimitExceeded"
            | "RequestThrottled" | "TooManyRequests" | "ServiceUnavailable" | "InternalError"
            | "RequestTimeout" | "OperationAborted" | "ConditionalRequestConflict"
            // The bytes arrived damaged.
            | "BadDigest" | "IncompleteBody" | "XAmzContentSHA256Mismatch",
        ) => passing(said),
        (_, "ExpiredToken" | "TokenRefreshRequired" | "ExpiredTokenException") => {
            blocked("the credentials have expired: renew them, then run again to resume")
        }
        (_, "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken") => {
            blocked("the keys are wrong: check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, `profile`")
        }
        (_, "RequestTimeTooSkewed") => blocked("set the clock of this machine"),
        (_, "NoSuchBucket") => {
            blocked("the bucket does not exist: make it, or check its name and `endpoint`")
        }
        (301 | 307, _) | (_, "PermanentRedirect" | "AuthorizationHeaderMalformed") => {
            let region = region.unwrap_or("the bucket's region");
            blocked(&format!("set AWS_REGION, or `region` in `[s3]`, to `{region}`"))
        }
        (404, _) => Failure::Lasting(StorageError::NotFound { location }),
        (401 | 403, _) => denied(
            "check the keys of the workers; the bucket's owner has to permit this; buckets where \
             the reader pays need `requester_pays = true`, public ones `anonymous = true`",
        ),
        (501, _) => blocked("the server lacks what is needed here; use another one"),
        (408 | 409 | 429 | 500..=599, _) => passing(said),
        _ => Failure::Doubtful(StorageError::Blocked { location, detail: said }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Remedy;
    use super::*;

    fn evaluated(status: u16, code: &str) -> Result<String, StorageError> {
        let answer = Answer { status, code, message: "because", after: None, region: None };
        match evaluate("s3://bucket/a/key", &answer) {
            Failure::Passing { detail, .. } => Ok(detail),
            Failure::Lasting(error) | Failure::Doubtful(error) => Err(error),
        }
    }

    #[test]
    fn busy_servers_and_damage_on_the_way_are_retried() {
        for (status, code) in [
            (503, "SlowDown"),
            (403, "SlowDown"),
            (429, ""),
            (500, "InternalError"),
            (400, "RequestTimeout"),
            (400, "XAmzContentSHA256Mismatch"),
            (409, "ConditionalRequestConflict"),
        ] {
            assert!(evaluated(status, code).is_ok(), "{status} {code}");
        }
    }

    #[test]
    fn a_refusal_names_location_status_and_what_to_do() {
        for (status, code, word) in [
            (400, "ExpiredToken", "renew"),
            (403, "AccessDenied", "keys of the workers"),
            (403, "InvalidAccessKeyId", "AWS_ACCESS_KEY_ID"),
            (404, "NoSuchBucket", "bucket does not exist"),
            (301, "PermanentRedirect", "region"),
            (501, "NotImplemented", "lacks"),
        ] {
            let error = evaluated(status, code).unwrap_err();
            assert_ne!(error.remedy(), Remedy::Retry);
            let text = error.to_string();
            assert!(text.contains("`s3://bucket/a/key`") && text.contains("hint:"), "{text}");
            assert!(text.contains(&status.to_string()) && text.contains(word), "{text}");
        }
        let remedy = |status, code| evaluated(status, code).unwrap_err().remedy();
        assert_eq!(remedy(400, "ExpiredToken"), Remedy::Stop);
        assert_eq!(remedy(404, "NoSuchBucket"), Remedy::Stop);
        assert_eq!(remedy(403, "AccessDenied"), Remedy::Stop);
        assert_eq!(remedy(400, "InvalidArgument"), Remedy::Stop);
        assert!(matches!(evaluated(404, "NoSuchKey"), Err(StorageError::NotFound { .. })));
    }

    #[test]
    fn a_request_that_cannot_be_signed_is_not_retried() {
        let chain = "dispatch failure (DispatchFailure(…)): no credentials";
        let refused = |chain| match unanswered("s3://b/k", "`http://h:1`", chain, "refused") {
            Failure::Lasting(error) => Ok(error.to_string()),
            Failure::Doubtful(error) => Err(error.to_string()),
            Failure::Passing { detail, .. } => Err(detail),
        };
        assert!(refused(chain).unwrap().contains("AWS_ACCESS_KEY_ID"));
        let profile = "dispatch failure (…): no credentials: the profile `nope` was not defined";
        assert!(refused(profile).unwrap().contains("AWS_CONFIG_FILE"));
        let not_enabled = unanswered("s3://b/k", "x", "credentials", "provider was not enabled");
        let Failure::Lasting(error) = not_enabled else { panic!("retried") };
        assert!(error.to_string().contains("see `profile`"), "{error}");
        let every = "no credentials found in chain. Attempted:\nProfile: the credential provider was \
                     not enabled";
        let Failure::Lasting(error) = unanswered("s3://b/k", "x", "credentials", every) else {
            panic!("retried")
        };
        assert!(error.to_string().contains("AWS_ACCESS_KEY_ID"), "{error}");
        let detail = refused("io error").unwrap_err();
        assert!(detail.contains("to `http://h:1` failed: refused\nhint:"), "{detail}");
    }
}
