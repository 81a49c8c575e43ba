//! Panics of libraries that read foreign bytes, caught where they are called.
//!
//! Some of them assert what a damaged file breaks. Such a panic costs the file or the page, as any
//! other damage does, and not its unit. Our own code is never called through this: its panics are
//! mistakes that must be seen.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::Once;

/// Made once for the process: whoever watches panics hears of all others.
static QUIET: Once = Once::new();

thread_local! {
    /// Whether a panic of this thread will be caught.
    static CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// What the library gives, or the message with which it panicked; nothing is printed of that.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    QUIET.call_once(|| {
        let tell = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !CAUGHT.get() {
                tell(panic);
            }
        }));
    });
    let outer = CAUGHT.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    CAUGHT.set(outer);
    result.map_err(|panic| panic_text(panic.as_ref()).to_owned())
}

/// Returns the message of a panic that was caught.
pub fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let message = panic.downcast_ref::<String>().map(String::as_str);
    message.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_its_message() {
        assert_eq!(caught(|| 7), Ok(7));
        assert_eq!(caught(|| panic!("as {}", "such")), Err::<(), _>("as such".to_owned()));
        assert_eq!(caught(|| panic!("plain")), Err::<(), _>("plain".to_owned()));
    }
}
