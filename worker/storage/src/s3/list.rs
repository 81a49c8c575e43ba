//! Lists the objects of a bucket under a prefix by pages, with one request per thousand objects.

use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;

use super::super::StorageError;
use super::super::retry::ReadOptions;
use super::engine::engine;
use super::name;

/// An object as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// Its size.
    pub bytes: u64,
    /// Its ETag, if the server lists it.
    pub etag: Option<String>,
}

/// Returns every object whose key starts with `prefix`, in the order of the keys' bytes.
pub(in super::super) fn list(
    bucket: &str,
    prefix: &str,
    options: &ReadOptions,
) -> Result<Vec<Listed>, StorageError> {
    let location = name(bucket, prefix);
    let engine = engine(&location)?;
    let mut found = Vec::new();
    let mut token: Option<String> = None;
    loop {
        let call = || {
            let request = engine.client.list_objects_v2().bucket(bucket).prefix(prefix);
            let request = request.set_continuation_token(token.clone());
            request.set_request_payer(engine.payer()).send()
        };
        let page = engine.runtime.block_on(engine.ask(&location, options, call))?;
        found.extend(page.contents().iter().filter_map(listed));
        let next = next_page(&page, token.as_deref(), &location)?;
        match next {
            Some(next) => token = Some(next),
            None => break,
        }
    }
    // S3 lists in this order; not every server does.
    found.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    Ok(found)
}

fn listed(object: &aws_sdk_s3::types::Object) -> Option<Listed> {
    let key = object.key()?.to_owned();
    let bytes = object.size().and_then(|bytes| u64::try_from(bytes).ok())?;
    Some(Listed { key, bytes, etag: object.e_tag().map(str::to_owned) })
}

/// Returns the token of the next page. A server that repeats a token would never end its listing.
fn next_page(
    page: &ListObjectsV2Output,
    before: Option<&str>,
    location: &str,
) -> Result<Option<String>, StorageError> {
    if page.is_truncated() != Some(true) {
        return Ok(None);
    }
    match page.next_continuation_token() {
        Some(next) if Some(next) != before => Ok(Some(next.to_owned())),
        _ => {
            let detail = "the server's listing does not advance".to_owned();
            Err(StorageError::Refused { location: location.to_owned(), detail })
        }
    }
}
