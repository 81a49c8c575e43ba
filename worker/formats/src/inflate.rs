//! The wrapper of libdeflate, the fastest inflater, and the only file of this crate with `unsafe`.
//!
//! It inflates one whole gzip member from memory to memory. Members that do not fit, streaming and
//! explanations of damage are left to `gzip`. Invariant: the counts that it returns never exceed
//! the lengths of the slices it was given.

#![expect(unsafe_code, reason = "libdeflate is a C library; its calls are wrapped here, once")]

use std::ptr::NonNull;

use libdeflate_sys as sys;

/// Result of an attempt to inflate one member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inflated {
    /// The member has ended and its checksum matches.
    Done { consumed: usize, produced: usize },
    /// The output is too small for the member.
    OutputFull,
    /// The member is damaged, or cut off by the end of the input; libdeflate does not distinguish
    /// these.
    Bad,
}

/// Owns one libdeflate decompressor.
pub(super) struct Inflater {
    raw: NonNull<sys::libdeflate_decompressor>,
}

// SAFETY: a decompressor is plain memory without thread affinity; it may move between threads as
// long as one at a time uses it, which `&mut self` in `gzip_member` ensures.
unsafe impl Send for Inflater {}

impl Inflater {
    pub(super) fn new() -> Self {
        // SAFETY: no preconditions; null means that memory is exhausted.
        let raw = unsafe { sys::libdeflate_alloc_decompressor() };
        let raw =
            NonNull::new(raw).expect("the allocator gives the decompressor its few kilobytes");
        Self { raw }
    }

    /// Inflates the gzip member that starts at `input[0]`, checking its CRC and length.
    pub(super) fn gzip_member(&mut self, input: &[u8], output: &mut [u8]) -> Inflated {
        let mut consumed = 0;
        let mut produced = 0;
        // SAFETY: the decompressor is alive and used by us alone; pointers and lengths come from
        // slices that live through the call; libdeflate writes at most `output.len()` bytes there
        // and keeps none of the pointers.
        let result = unsafe {
            sys::libdeflate_gzip_decompress_ex(
                self.raw.as_ptr(),
                input.as_ptr().cast(),
                input.len(),
                output.as_mut_ptr().cast(),
                output.len(),
                &raw mut consumed,
                &raw mut produced,
            )
        };
        match result {
            sys::libdeflate_result_LIBDEFLATE_SUCCESS => {
                assert!(consumed <= input.len(), "libdeflate read past its input");
                assert!(produced <= output.len(), "libdeflate wrote past its output");
                Inflated::Done { consumed, produced }
            }
            sys::libdeflate_result_LIBDEFLATE_INSUFFICIENT_SPACE => Inflated::OutputFull,
            _ => Inflated::Bad,
        }
    }
}

impl Drop for Inflater {
    fn drop(&mut self) {
        // SAFETY: allocated in `new`, freed only here.
        unsafe { sys::libdeflate_free_decompressor(self.raw.as_ptr()) }
    }
}
