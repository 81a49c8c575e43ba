//! SentencePiece's unigram models: splits a text into the same pieces as SentencePiece.
//!
//! ```text
//!   .model ──▶ proto ──▶ normaliser, lattice                    = Model (shared)
//!   text ──▶ normal form ──▶ best path ──▶ pieces                 Scratch (one a thread)
//! ```
//! Supported are unigram models with any precompiled character map, user-defined symbols and byte
//! fall-back. Models of type BPE, word and char are refused. Training, sampling, and turning pieces
//! back into text are left to SentencePiece.
//!
//! **Invariant:** the pieces are a function of model and text, and equal SentencePiece's, ties
//! included; no model file, however damaged, makes encoding go out of bounds.

mod charsmap;
mod lattice;
mod normaliser;
mod proto;
mod tree;

#[cfg(test)]
mod tests;

use std::path::Path;

use prost::Message;

use lattice::Lattice;
use normaliser::Normaliser;
use proto::{ModelKind, ModelProto, PieceKind};

/// Limit of a model file, far above real ones; CCNet's have 65,536 pieces in about 1 MB.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// Why a model was refused.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("cannot read SentencePiece model `{name}`")]
    Read { name: String, source: std::io::Error },
    #[error("SentencePiece model `{name}` has `{bytes}` bytes, more than any real model")]
    TooLarge { name: String, bytes: u64 },
    #[error("`{name}` is not a SentencePiece model: {source}")]
    NotAModel { name: String, source: prost::DecodeError },
    #[error(
        "SentencePiece model `{name}` is of type `{kind}`; only `unigram` is read here\n\
         hint: CCNet's models are unigram models; train one with `--model_type=unigram`"
    )]
    Kind { name: String, kind: &'static str },
    #[error("malformed SentencePiece model `{name}`: {what}")]
    Malformed { name: String, what: String },
}

/// A unigram model. It does not change, and threads share it.
pub struct Model {
    normaliser: Normaliser,
    lattice: Lattice,
    pieces: Vec<String>,
    /// The pieces of the 256 bytes, if the model falls back to them.
    bytes: Option<Box<[u32; 256]>>,
}

/// Memory that encoding reuses; one for each thread.
#[derive(Debug, Default)]
pub struct Scratch {
    normal: String,
    lattice: lattice::Scratch,
}

/// A piece of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A piece of the model, by its number.
    Known(u32),
    /// A part of the normal form for which the model has no pieces.
    Unknown(&'a str),
}

impl Model {
    /// Loads a `.model` file.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        let name = path.display().to_string();
        let failed = |source| LoadError::Read { name: name.clone(), source };
        let bytes = std::fs::metadata(path).map_err(failed)?.len();
        if bytes > MAX_FILE_BYTES {
            return Err(LoadError::TooLarge { name, bytes });
        }
        let file = std::fs::read(path).map_err(failed)?;
        Self::from_bytes(&file, &name)
    }

    /// Reads a model from memory; `name` is for messages.
    pub fn from_bytes(bytes: &[u8], name: &str) -> Result<Self, LoadError> {
        let proto = ModelProto::decode(bytes)
            .map_err(|source| LoadError::NotAModel { name: name.to_owned(), source })?;
        let malformed = |what: String| LoadError::Malformed { name: name.to_owned(), what };
        let trainer = proto.trainer_spec.unwrap_or_default();
        let kind = match trainer.model_type() {
            ModelKind::Unigram => None,
            ModelKind::Bpe => Some("bpe"),
            ModelKind::Word => Some("word"),
            ModelKind::Char => Some("char"),
        };
        if let Some(kind) = kind {
            return Err(LoadError::Kind { name: name.to_owned(), kind });
        }
        let defined: Vec<&str> = proto
            .pieces
            .iter()
            .filter(|piece| piece.kind() == PieceKind::UserDefined)
            .map(|piece| piece.piece())
            .collect();
        let spec = proto.normalizer_spec.unwrap_or_default();
        let suffix = trainer.treat_whitespace_as_suffix();
        let normaliser = Normaliser::new(&spec, suffix, &defined).map_err(malformed)?;
        let lattice = Lattice::new(&proto.pieces).map_err(malformed)?;
        let bytes = match trainer.byte_fallback() {
            true => Some(byte_pieces(&proto.pieces).map_err(malformed)?),
            false => None,
        };
        let pieces = proto.pieces.into_iter().map(|piece| piece.piece.unwrap_or_default());
        Ok(Self { normaliser, lattice, pieces: pieces.collect(), bytes })
    }

    /// Returns the number of pieces of the model.
    pub fn piece_count(&self) -> usize {
        self.pieces.len()
    }

    /// Returns the text of a piece, with `▁` for a space.
    pub fn spelling<'a>(&'a self, piece: Piece<'a>) -> &'a str {
        match piece {
            Piece::Known(id) => &self.pieces[id as usize],
            Piece::Unknown(text) => text,
        }
    }

    /// Calls `take` with the pieces of `text`, in order.
    pub fn encode(&self, scratch: &mut Scratch, text: &str, mut take: impl FnMut(Piece<'_>)) {
        self.normaliser.normalise(text, &mut scratch.normal);
        let Scratch { normal, lattice } = scratch;
        // Neighbouring unknown characters are one piece.
        let mut unknown: Option<(usize, usize)> = None;
        self.lattice.best_path(normal, lattice, |start, end, id| {
            if id == self.lattice.unknown() {
                match &self.bytes {
                    Some(bytes) => {
                        for byte in &normal.as_bytes()[start..end] {
                            take(Piece::Known(bytes[usize::from(*byte)]));
                        }
                    }
                    None => unknown = Some((unknown.map_or(start, |(first, _)| first), end)),
                }
                return;
            }
            if let Some((first, last)) = unknown.take() {
                take(Piece::Unknown(&normal[first..last]));
            }
            take(Piece::Known(id));
        });
        if let Some((first, last)) = unknown {
            take(Piece::Unknown(&normal[first..last]));
        }
    }
}

/// Finds the pieces `<0x00>` to `<0xFF>`.
fn byte_pieces(pieces: &[proto::PieceProto]) -> Result<Box<[u32; 256]>, String> {
    let mut table = Box::new([u32::MAX; 256]);
    for (id, piece) in (0..).zip(pieces) {
        let digits = piece.piece().strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let (PieceKind::Byte, Some(byte)) = (piece.kind(), byte) {
            table[usize::from(byte)] = id;
        }
    }
    match table.iter().position(|id| *id == u32::MAX) {
        None => Ok(table),
        Some(byte) => Err(format!("it falls back to bytes, but has no piece `<0x{byte:02X}>`")),
    }
}
