//! Writes a JSON object field by field, without a value in memory.

use std::io::{self, Write};

use serde::Serialize;

/// An object whose fields are written in the order of the calls.
pub(super) struct JsonObject<'w> {
    out: &'w mut dyn Write,
    is_empty: bool,
}

impl<'w> JsonObject<'w> {
    pub(super) fn start(out: &'w mut dyn Write) -> io::Result<Self> {
        out.write_all(b"{")?;
        Ok(Self { out, is_empty: true })
    }

    /// Writes a field. The name must need no escapes.
    pub(super) fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> io::Result<()> {
        self.name(name)?;
        Ok(serde_json::to_writer(&mut *self.out, value)?)
    }

    /// Writes a field if it has a value.
    pub(super) fn optional<T: Serialize>(
        &mut self,
        name: &str,
        value: Option<T>,
    ) -> io::Result<()> {
        value.map_or(Ok(()), |value| self.field(name, &value))
    }

    /// Writes a field whose value is already JSON.
    pub(super) fn json(&mut self, name: &str, value: &str) -> io::Result<()> {
        self.name(name)?;
        self.out.write_all(value.as_bytes())
    }

    /// Writes a field whose value is an object.
    pub(super) fn object(
        &mut self,
        name: &str,
        fields: impl FnOnce(&mut JsonObject<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        self.name(name)?;
        let mut inner = JsonObject::start(&mut *self.out)?;
        fields(&mut inner)?;
        inner.out.write_all(b"}")
    }

    /// Ends the object and the line.
    pub(super) fn end_line(self) -> io::Result<()> {
        self.out.write_all(b"}\n")
    }

    fn name(&mut self, name: &str) -> io::Result<()> {
        let start: &[u8] = if std::mem::take(&mut self.is_empty) { b"\"" } else { b",\"" };
        self.out.write_all(start)?;
        self.out.write_all(name.as_bytes())?;
        self.out.write_all(b"\":")
    }
}
