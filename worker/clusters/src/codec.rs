//! The fields of records as bytes: numbers in little endian, texts and lists with their lengths.
//!
//! **Invariant:** reading never panics, and allocates no more than the bytes that it was given.

/// A length that no field has, because a record is shorter.
fn length(items: usize) -> [u8; 4] {
    u32::try_from(items).unwrap_or(u32::MAX).to_le_bytes()
}

pub(crate) fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend_from_slice(&length(text.len()));
    bytes.extend_from_slice(text.as_bytes());
}

pub(crate) fn put_u64s(bytes: &mut Vec<u8>, numbers: &[u64]) {
    bytes.extend_from_slice(&length(numbers.len()));
    bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
}

pub(crate) fn put_u32s(bytes: &mut Vec<u8>, numbers: &[u32]) {
    bytes.extend_from_slice(&length(numbers.len()));
    bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
}

/// Reads fields in the order in which they were put; each is none if the bytes do not hold it.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*array)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    pub(crate) fn text(&mut self) -> Option<String> {
        let length = self.u32()? as usize;
        std::str::from_utf8(self.bytes(length)?).ok().map(str::to_owned)
    }

    pub(crate) fn u64s(&mut self) -> Option<Vec<u64>> {
        let count = self.u32()? as usize;
        let bytes = self.bytes(count.checked_mul(8)?)?;
        Some(bytes.as_chunks::<8>().0.iter().map(|number| u64::from_le_bytes(*number)).collect())
    }

    pub(crate) fn u32s(&mut self) -> Option<Vec<u32>> {
        let count = self.u32()? as usize;
        let bytes = self.bytes(count.checked_mul(4)?)?;
        Some(bytes.as_chunks::<4>().0.iter().map(|number| u32::from_le_bytes(*number)).collect())
    }

    /// Returns none if bytes are left.
    pub(crate) fn end(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}
